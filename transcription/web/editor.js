// Corrects the transcript where it is: the segment that is clicked becomes a field, with the caret at the word.

import { shortClock } from "./formats.js";

export class Editor {
  #field = null; // { index, input, select }

  /** transcript: the view. documentOf: the document that is corrected, or null. onSpeaker: called after a segment was given to another speaker. */
  constructor(transcript, documentOf, onSpeaker) {
    Object.assign(this, { transcript, documentOf, onSpeaker });
  }

  get index() {
    return this.#field?.index ?? null;
  }

  /** Open the field of a segment with the caret at a place in its text. focused: what gets the focus, "input", "select" or nothing. */
  open(index, offset, focused = "input") {
    this.close();
    const segment = this.documentOf().segments[index];
    if (!segment) return;
    const input = document.createElement("textarea");
    input.dir = "auto";
    input.rows = 1;
    input.value = segment.text;
    input.setAttribute("aria-label", `Text from ${shortClock(segment.start)} to ${shortClock(segment.end)}`);
    input.addEventListener("input", () => this.#type());
    input.addEventListener("keydown", (event) => this.#key(event));
    this.transcript.textOf(index).replaceWith(input);
    const select = segment.speaker && this.transcript.speakers.length > 1 ? this.#speaker(index, segment.speaker) : null;
    if (select) input.after(select);
    this.#field = { index, input, select };
    this.#fit();
    const caret = Math.min(offset, segment.text.length); // Infinity is the end, and 0 for the browser
    input.setSelectionRange(caret, caret);
    if (!focused) return;
    (this.#field[focused] ?? input).focus();
    this.transcript.scrollTo(input.closest(".segment"));
  }

  /** Show the words again. */
  close() {
    if (!this.#field) return;
    const { index } = this.#field;
    this.#field = null;
    this.transcript.redraw(index);
  }

  /** Show the document after something else than typing changed it. The field stays open where it was, if it can, and the focus
   * where it was: a button such as "Undo" or "Replace" is often pressed again. */
  show() {
    const field = this.#field;
    const caret = field?.input.selectionStart;
    const focused = ["input", "select"].find((part) => field?.[part] && field[part] === document.activeElement);
    this.#field = null;
    const { segments } = this.documentOf();
    this.transcript.show(segments);
    if (!field) return;
    const index = Math.min(field.index, segments.length - 1);
    this.open(index, Math.min(caret, segments[index]?.text.length ?? 0), focused ?? null);
  }

  #speaker(index, speaker) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", "Who speaks in this segment");
    select.append(...this.transcript.speakers.map((label) => new Option(label, label, false, label === speaker)));
    select.addEventListener("change", () => {
      this.documentOf().assign(index, select.value);
      this.onSpeaker();
    });
    return select;
  }

  #type() {
    const { index, input } = this.#field;
    const text = input.value.replace(/\s*\n\s*/g, " "); // pasted lines
    if (text !== input.value) input.value = text;
    const edited = this.documentOf();
    edited.type(index, text);
    this.transcript.adopt(index, edited.segments[index]);
    this.#fit();
  }

  #fit() {
    const { input } = this.#field;
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight + 2}px`;
  }

  #key(event) {
    if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey) return;
    const { index, input } = this.#field;
    const { selectionStart: start, selectionEnd: end, value } = input;
    const [before, after] = [this.transcript.shownBeside(index, -1), this.transcript.shownBeside(index, 1)];
    const isAtStart = start === 0 && end === 0;
    const isAtEnd = start === value.length && end === value.length;
    const act = {
      Enter: () => this.#split(index, start, end),
      Backspace: isAtStart && before === index - 1 && (() => this.#merge(index)),
      Delete: isAtEnd && after === index + 1 && (() => this.#merge(index + 1)),
      ArrowUp: isAtStart && before !== null && (() => this.open(before, Infinity)),
      ArrowDown: isAtEnd && after !== null && (() => this.open(after, 0)),
      Escape: () => {
        this.close();
        this.transcript.focusWord(index);
      },
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #split(index, start, end) {
    const edited = this.documentOf();
    const { text } = edited.segments[index];
    if (!text.slice(0, start).trim() || !text.slice(end).trim()) return; // a segment has text
    if (start !== end) edited.type(index, text.slice(0, start) + text.slice(end));
    edited.split(index, start);
    this.#show(index + 1, 0);
  }

  #merge(index) {
    const offset = this.documentOf().merge(index);
    this.#show(index - 1, offset);
  }

  #show(index, offset) {
    this.#field = null;
    this.transcript.show(this.documentOf().segments);
    this.open(index, offset);
  }
}
