// Words of a segment: where they are in its text, and when they are spoken. Pure functions.
//
// A segment is { start, end, text, words, speaker }, a word { word, start, end, confidence, speaker }; times in seconds.
// Nothing here changes a segment or a word: every function returns new ones.

// Written without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.
const UNSPACED = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}]/u;
const TIME_DIGITS = 3;

export const rounded = (seconds) => Number(seconds.toFixed(TIME_DIGITS));

/** The words of a text, each with its place: { word, from, to }. Punctuation belongs to the word before it. */
export function pieces(text) {
  const found = [];
  for (const { 0: token, index } of text.matchAll(/\S+/gu)) {
    if (UNSPACED.test(token)) found.push(...unspaced(token, index));
    else found.push({ word: token, from: index, to: index + token.length });
  }
  return found;
}

function unspaced(token, offset) {
  const found = [];
  for (const { segment, index, isWordLike } of new Intl.Segmenter(undefined, { granularity: "word" }).segment(token)) {
    const last = found.at(-1);
    if (!isWordLike && last) {
      last.word += segment;
      last.to += segment.length;
    } else found.push({ word: segment, from: offset + index, to: offset + index + segment.length });
  }
  return found;
}

/** Words with times that are spread over a stretch by their lengths. */
export function spread(words, start, end) {
  const total = words.reduce((sum, { word }) => sum + word.length, 0) || 1;
  let time = start;
  return words.map((word) => {
    const from = time;
    time += ((end - start) * word.word.length) / total;
    return { ...word, start: rounded(from), end: rounded(time) };
  });
}

/** The words of a segment with their places in its text, { ...word, from, to }. Without times, they are spread evenly. */
export function placed(segment) {
  let at = 0;
  const found = [];
  for (const word of segment.words ?? []) {
    const from = segment.text.indexOf(word.word, at);
    if (from < 0) return spread(pieces(segment.text), segment.start, segment.end);
    at = from + word.word.length;
    found.push({ ...word, from, to: at });
  }
  return found.length ? found : spread(pieces(segment.text), segment.start, segment.end);
}

const unplaced = ({ from, to, ...word }) => word;

/** Whether one word may end and another begin between two characters, which are undefined at the ends of a text. */
const isBoundary = (before = " ", after = " ") => /\s/u.test(before) || /\s/u.test(after) || (UNSPACED.test(before) && UNSPACED.test(after));

function commonLength(a, b, most, at) {
  let length = 0;
  while (length < most && at(a, length) === at(b, length)) length += 1;
  return length;
}

/** A segment with another text. Words that were in it keep their times; as many words as before take over theirs. */
export function withText(segment, text) {
  const old = placed(segment);
  const most = Math.min(segment.text.length, text.length);
  const head = commonLength(segment.text, text, most, (string, index) => string[index]);
  const tail = commonLength(segment.text, text, most - head, (string, index) => string[string.length - 1 - index]);
  const shift = text.length - segment.text.length;
  const isBefore = ({ to }) => to < head || (to === head && isBoundary(text[to - 1], text[to]));
  const isAfter = ({ from }) => {
    const firstOfTail = segment.text.length - tail;
    return from > firstOfTail || (from === firstOfTail && isBoundary(text[from + shift - 1], text[from + shift]));
  };
  const before = old.filter(isBefore);
  const after = old.filter((word) => !isBefore(word) && isAfter(word));
  const changed = old.filter((word) => !isBefore(word) && !isAfter(word));
  const region = [before.at(-1)?.to ?? 0, after.length ? after[0].from + shift : text.length];
  const fresh = pieces(text.slice(...region));
  const words = [...before, ...retimed(fresh, changed, before.at(-1)?.end ?? segment.start, after[0]?.start ?? segment.end), ...after];
  return { ...segment, text, words: words.map(unplaced) };
}

// Words sound alike if they differ in case or punctuation only.
const keyOf = ({ word }) => word.replace(/[^\p{L}\p{N}\p{M}]/gu, "").toLowerCase() || word;

/** Pairs of places in two lists of words that are common to both, as many as possible and in order. */
function common(one, other) {
  const [a, b] = [one.map(keyOf), other.map(keyOf)];
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1)); // of what follows
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      lengths[i][j] = a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
  const pairs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else j += 1;
  }
  return pairs;
}

/** New words with times: those that were there keep theirs, others share the time of the words they replace. */
function retimed(fresh, old, start, end) {
  const words = [];
  let [i, j] = [0, 0];
  for (const [next, place] of [...common(old, fresh), [old.length, fresh.length]]) {
    words.push(...replaced(fresh.slice(j, place), old.slice(i, next), words.at(-1)?.end ?? start, old[next]?.start ?? end));
    if (old[next]) words.push({ ...old[next], ...fresh[place] });
    [i, j] = [next + 1, place + 1];
  }
  return words;
}

function replaced(fresh, old, start, end) {
  const written = (word, former) => ({ ...word, confidence: 1, ...(former?.speaker ? { speaker: former.speaker } : {}) });
  if (fresh.length === old.length) return fresh.map((word, index) => ({ ...written(word, old[index]), start: old[index].start, end: old[index].end }));
  return spread(fresh, old[0]?.start ?? start, old.at(-1)?.end ?? end).map((word) => written(word, old[0]));
}

/** Two segments from one, divided at a place in its text. */
export function divided(segment, offset) {
  const halves = [[], []];
  for (const word of placed(segment)) {
    if (word.to <= offset) halves[0].push(word);
    else if (word.from >= offset) halves[1].push(word);
    else {
      const time = rounded(word.start + ((word.end - word.start) * (offset - word.from)) / (word.to - word.from));
      halves[0].push({ ...word, word: word.word.slice(0, offset - word.from), end: time });
      halves[1].push({ ...word, word: word.word.slice(offset - word.from), start: time });
    }
  }
  const [first, second] = halves;
  const end = first.at(-1)?.end ?? segment.start;
  const start = second[0]?.start ?? segment.end;
  return [
    { ...segment, end, text: segment.text.slice(0, offset).trim(), words: first.map(unplaced) },
    { ...segment, start, text: segment.text.slice(offset).trim(), words: second.map(unplaced) },
  ];
}

/** What is written between two texts: a space, except in scripts without. */
export const between = (first, second) =>
  first && second && !(UNSPACED.test(first.at(-1)) && UNSPACED.test(second[0])) ? " " : "";

/** One segment from two; the first one's speaker is kept. offset: where the second text begins. */
export function joined(first, second) {
  const space = between(first.text, second.text);
  const segment = {
    ...first,
    end: Math.max(first.end, second.end),
    text: first.text + space + second.text,
    words: [...placed(first), ...placed(second)].map(unplaced),
  };
  return { segment, offset: first.text.length + space.length };
}
