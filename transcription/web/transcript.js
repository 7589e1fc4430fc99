// The transcript on the page: a row for each segment, and in it the words, which can be played and are lit while spoken.

import { shortClock } from "./formats.js";
import { colourOf } from "./speakers.js";
import { placed } from "./words.js";

const DOUBTFUL = 0.6; // confidence below which a word is marked, if asked for
const END = 40; // pixels

export class Transcript {
  #rows = []; // { segment, starts, element, text, words: [{ element, start, end }] }
  #lit = null;
  #frame = 0;
  #isAtEnd = true; // of the text, which is followed then
  #only = null; // the speaker who is shown; null for all

  /** element: the container. onWord: called with { index, offset, start } of the chosen word, the offset in the text of its segment. */
  constructor(element, onWord) {
    this.element = element;
    this.onWord = onWord;
    this.speakers = []; // in the order of their colours
    element.addEventListener("click", (event) => this.#choose(event, event.target.closest(".word")));
    element.addEventListener("keydown", (event) => this.#move(event));
    element.addEventListener("scroll", () => {
      this.#isAtEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - END;
    });
  }

  get segments() {
    return this.#rows.map(({ segment }) => segment);
  }

  /** Show these segments. Rows of segments that did not change stay as they are, except for the one with a field. */
  show(segments) {
    const firsts = segments.map((segment, index) => Boolean(segment.speaker) && segment.speaker !== segments[index - 1]?.speaker);
    const isSame = (row, index) => row.segment === segments[index] && row.starts === firsts[index] && !row.element.querySelector("textarea");
    const most = Math.min(segments.length, this.#rows.length);
    let head = 0;
    while (head < most && isSame(this.#rows[head], head)) head += 1;
    let tail = 0;
    const shift = segments.length - this.#rows.length;
    while (tail < most - head && isSame(this.#rows.at(-1 - tail), this.#rows.length - 1 - tail + shift)) tail += 1;
    const old = this.#rows.slice(head, this.#rows.length - tail);
    const made = segments.slice(head, segments.length - tail).map((segment, index) => this.#rowOf(segment, firsts[head + index]));
    const place = this.#rows[this.#rows.length - tail]?.element ?? null;
    const focused = old.flatMap(({ words }) => words).find(({ element }) => element === document.activeElement);
    for (const { element } of old) element.remove();
    for (const { element } of made) this.element.insertBefore(element, place);
    this.#rows.splice(head, old.length, ...made);
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#isAtEnd = true;
    if (old.some(({ words }) => words.some(({ element }) => element === this.#lit))) this.#lit = null;
    this.#keepTabStop();
    if (focused) this.#rove(this.#at(focused.start).word?.element ?? this.element.querySelector(".word"));
  }

  /** Append a segment. */
  add(segment) {
    const row = this.#rowOf(segment, Boolean(segment.speaker) && segment.speaker !== this.#rows.at(-1)?.segment.speaker);
    this.#rows.push(row);
    this.element.append(row.element);
    this.#keepTabStop();
    this.#scrollToEnd();
  }

  // Once a frame, and without measuring: hundreds of segments come at once when a job is opened again.
  #scrollToEnd() {
    if (!this.#isAtEnd || this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.element.scrollTop = this.element.scrollHeight;
    });
  }

  /** The same segment after its text was changed in its field. */
  adopt(index, segment) {
    this.#rows[index].segment = segment;
  }

  /** Where the text of a segment is. */
  textOf(index) {
    return this.#rows[index].text;
  }

  rowOf(index) {
    return this.#rows[index].element;
  }

  /** Show the words of a segment again in place of its field. */
  redraw(index) {
    const { segment, starts, element } = this.#rows[index];
    const row = this.#rowOf(segment, starts);
    this.#rows[index] = row;
    element.replaceWith(row.element);
    this.#keepTabStop();
  }

  /** Show only what one person says; null for all. */
  filter(speaker) {
    this.#only = speaker;
    for (const { segment, element } of this.#rows) this.#hide(element, segment);
  }

  #hide(element, { speaker }) {
    element.classList.toggle("elsewhere", this.#only !== null && speaker !== this.#only);
  }

  /** The index of the next segment that is shown, or null. step: 1, or -1 for the one before. */
  shownBeside(index, step) {
    let other = index + step;
    while (this.#rows[other] && !this.#isShown(other)) other += step;
    return this.#rows[other] ? other : null;
  }

  #isShown(index) {
    return !this.#rows[index].element.classList.contains("elsewhere");
  }

  focusWord(index) {
    this.#rove(this.#rows[index]?.words[0]?.element ?? this.element.querySelector(".word"));
  }

  /** Light the word that is spoken at a time, seconds. */
  highlight(time) {
    const { row, word } = this.#at(time);
    const element = word && time <= word.end + 0.2 ? word.element : null;
    if (element === this.#lit) return;
    this.#lit?.removeAttribute("aria-current");
    this.#lit = element;
    if (!element) return;
    element.setAttribute("aria-current", "true");
    this.scrollTo(row.element);
  }

  /** The last row, and the last word in it, that start at a time or before, seconds. */
  #at(time) {
    const row = last(this.#rows, ({ segment }) => segment.start <= time);
    return { row, word: row && last(row.words, ({ start }) => start <= time) };
  }

  scrollTo(row) {
    const [top, bottom] = [this.element.scrollTop, this.element.scrollTop + this.element.clientHeight];
    const place = row.offsetTop - this.element.offsetTop;
    if (place < top || place + row.offsetHeight > bottom) this.element.scrollTop = place - 20;
  }

  #rowOf(segment, starts) {
    const element = document.createElement("div");
    element.className = "segment";
    this.#hide(element, segment);
    const time = document.createElement("time");
    time.textContent = shortClock(segment.start);
    const body = document.createElement("div");
    const colour = colourOf(segment.speaker, this.speakers);
    if (colour) element.classList.add("spoken", colour);
    if (starts) {
      const name = document.createElement("span");
      name.className = "speaker";
      name.dir = "auto";
      name.textContent = segment.speaker;
      body.append(name);
    }
    const text = document.createElement("p");
    text.dir = "auto"; // Arabic and Hebrew run from right to left
    const words = this.#wordsOf(segment, text);
    body.append(text);
    element.append(time, body);
    return { segment, starts, element, text, words };
  }

  // Together the text of the paragraph is exactly that of the segment. Words are inline, so that scripts run as they should.
  #wordsOf(segment, text) {
    let at = 0;
    const words = placed(segment).map(({ from, to, start, end, confidence }) => {
      text.append(segment.text.slice(at, from));
      const element = document.createElement("span");
      element.className = confidence < DOUBTFUL ? "word doubtful" : "word";
      element.setAttribute("role", "button");
      element.tabIndex = -1;
      element.textContent = segment.text.slice(from, to);
      text.append(element);
      at = to;
      return { element, start, end };
    });
    text.append(segment.text.slice(at));
    return words;
  }

  #place(word) {
    const index = this.#rows.findIndex(({ element }) => element.contains(word));
    return { index, number: this.#rows[index].words.findIndex(({ element }) => element === word) };
  }

  #choose(event, element) {
    if (!element) return;
    this.#rove(element);
    const { index, number } = this.#place(element);
    const range = document.createRange();
    range.selectNodeContents(this.#rows[index].text);
    const caret = event.type === "click" ? caretAt(event.clientX, event.clientY) : null;
    if (caret && element.contains(caret.node)) range.setEnd(caret.node, caret.offset);
    else range.setEndBefore(element);
    this.onWord({ index, offset: range.toString().length, start: this.#rows[index].words[number].start });
  }

  // A single tab stop, with arrow keys inside: an hour of speech has nine thousand words.
  #rove(word) {
    if (!word) return;
    for (const other of this.element.querySelectorAll('.word[tabindex="0"]')) other.tabIndex = -1;
    word.tabIndex = 0;
    word.focus();
  }

  #keepTabStop() {
    if (this.element.querySelector('.word[tabindex="0"]')) return;
    const first = this.element.querySelector(".word");
    if (first) first.tabIndex = 0;
  }

  #move(event) {
    const word = event.target.closest(".word");
    if (!word || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#choose(event, word);
      return;
    }
    const next = this.#neighbour(word, event.key);
    if (next === undefined) return;
    event.preventDefault();
    this.#rove(next);
  }

  #neighbour(word, key) {
    const forward = getComputedStyle(word.parentElement).direction === "rtl" ? -1 : 1;
    const steps = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: 1, ArrowUp: -1 };
    const all = this.element.querySelectorAll(".segment:not(.elsewhere) .word");
    if (key === "Home") return all[0];
    if (key === "End") return all[all.length - 1];
    if (!(key in steps)) return undefined;
    let { index, number } = this.#place(word);
    number += steps[key];
    while (this.#rows[index] && !(this.#isShown(index) && this.#rows[index].words[number])) {
      index += steps[key];
      number = steps[key] > 0 ? 0 : (this.#rows[index]?.words.length ?? 0) - 1;
    }
    return this.#rows[index]?.words[number].element ?? null;
  }
}

/** The last entry of an ordered list for which a condition holds that holds for all before it. */
function last(entries, holds) {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(entries[middle])) low = middle + 1;
    else high = middle;
  }
  return entries[low - 1];
}

function caretAt(x, y) {
  if (document.caretPositionFromPoint) {
    const place = document.caretPositionFromPoint(x, y);
    return place && { node: place.offsetNode, offset: place.offset };
  }
  const range = document.caretRangeFromPoint?.(x, y); // Safari
  return range && { node: range.startContainer, offset: range.startOffset };
}
