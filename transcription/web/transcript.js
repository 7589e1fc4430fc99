// The transcript on the page: highlighted words, and fields for corrections.

import { shortClock } from "./formats.js";

/** Words of a segment with timestamps. Without any, the duration is distributed over the words by length. */
function wordsOf(segment) {
  if (segment.words?.length && !segment.corrected) return segment.words;
  const words = segment.text.trim().split(/\s+/).filter(Boolean);
  const total = words.reduce((sum, word) => sum + word.length, 0) || 1;
  let time = segment.start;
  return words.map((word) => {
    const start = time;
    time += ((segment.end - segment.start) * word.length) / total;
    return { word, start, end: time };
  });
}

export class Transcript {
  /** element: the container. onSeek: called with the time of a selected word, seconds. onEdit: called with the index and text of a segment. */
  constructor(element, onSeek, onEdit) {
    this.element = element;
    this.onEdit = onEdit;
    this.segments = [];
    this.editing = false;
    this.highlighted = null;
    element.addEventListener("click", (event) => {
      const word = event.target.closest(".word");
      if (word) {
        this.#rove(word);
        onSeek(Number(word.dataset.start));
      }
    });
    element.addEventListener("keydown", (event) => this.#move(event));
  }

  clear() {
    this.show([]);
  }

  /** Replace all segments. segments: { start, end, text, words }. */
  show(segments) {
    this.segments = [];
    this.words = [];
    this.highlighted = null;
    this.element.replaceChildren();
    for (const segment of segments) this.add(segment);
  }

  /** Append a segment. */
  add(segment) {
    const atEnd = this.element.scrollTop + this.element.clientHeight >= this.element.scrollHeight - 40;
    const index = this.segments.push(segment) - 1;
    this.element.append(this.#rowOf(segment, index));
    if (atEnd) this.element.scrollTop = this.element.scrollHeight;
  }

  edit(editing) {
    this.editing = editing;
    this.show(this.segments);
  }

  /** Highlight the word that is spoken at a time, seconds. */
  highlight(time) {
    const word = this.#wordAt(time);
    if (word === this.highlighted) return;
    this.highlighted?.removeAttribute("aria-current");
    this.highlighted = word;
    if (!word) return;
    word.setAttribute("aria-current", "true");
    const row = word.closest(".segment");
    const [top, bottom] = [this.element.scrollTop, this.element.scrollTop + this.element.clientHeight];
    const place = row.offsetTop - this.element.offsetTop;
    if (place < top || place + row.offsetHeight > bottom) this.element.scrollTop = place - 20;
  }

  #wordAt(time) {
    let [low, high] = [0, this.words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (Number(this.words[middle].dataset.start) <= time) low = middle + 1;
      else high = middle;
    }
    const word = this.words[low - 1];
    return word && time <= Number(word.dataset.end) + 0.2 ? word : null;
  }

  #rowOf(segment, index) {
    const row = document.createElement("div");
    row.className = "segment";
    const time = document.createElement("time");
    time.textContent = shortClock(segment.start);
    row.append(time, this.editing ? this.#fieldOf(segment, index) : this.#textOf(segment));
    return row;
  }

  #fieldOf(segment, index) {
    const field = document.createElement("textarea");
    field.value = segment.text.trim();
    field.rows = Math.max(1, Math.ceil(field.value.length / 60));
    field.setAttribute("aria-label", `Text from ${shortClock(segment.start)} to ${shortClock(segment.end)}`);
    field.addEventListener("input", () => {
      segment.text = field.value;
      segment.corrected = true;
      this.onEdit(index, field.value);
    });
    return field;
  }

  #textOf(segment) {
    const text = document.createElement("p");
    for (const { word, start, end } of wordsOf(segment)) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "word";
      button.tabIndex = this.words.length ? -1 : 0;
      button.textContent = word;
      button.dataset.start = start;
      button.dataset.end = end;
      this.words.push(button);
      text.append(button, " ");
    }
    return text;
  }

  // A single tab stop, with arrow keys inside: an hour of speech has nine thousand words.
  #rove(word) {
    for (const other of this.element.querySelectorAll('.word[tabindex="0"]')) other.tabIndex = -1;
    word.tabIndex = 0;
    word.focus();
  }

  #move(event) {
    const place = this.words.indexOf(event.target);
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -place, End: this.words.length - 1 - place };
    const next = this.words[place + steps[event.key]];
    if (place < 0 || !next) return;
    event.preventDefault();
    this.#rove(next);
  }
}
