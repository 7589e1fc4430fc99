// The transcript as it is being corrected, with undo. Segments are never changed, only replaced: see words.js.

import { divided, joined, placed, withText } from "./words.js";

const PAUSE_MS = 1000; // typing after a pause is a new step of undo
const MAX_STEPS = 500;

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export class TranscriptDocument {
  #past = [];
  #future = [];
  #typed = { index: -1, at: 0 };
  // Segments before they were typed in. A word is another one for a moment while letters are put beside it; it must not
  // lose its time by that.
  #origins = new WeakMap();

  /** segments: as in verbose_json. onChange: called after each change. */
  constructor(segments, onChange) {
    this.segments = segments;
    this.onChange = onChange;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Replace the text of a segment. Letters typed without a pause are undone together. */
  type(index, text) {
    const now = Date.now();
    const goesOn = this.#typed.index === index && now - this.#typed.at < PAUSE_MS && this.canUndo;
    const origin = this.#origins.get(this.segments[index]) ?? this.segments[index];
    const segment = withText(origin, text);
    this.#origins.set(segment, origin);
    this.#set(this.segments.with(index, segment), goesOn);
    this.#typed = { index, at: now };
  }

  /** Divide a segment at a place in its text. */
  split(index, offset) {
    this.#set(this.segments.toSpliced(index, 1, ...divided(this.segments[index], offset)));
  }

  /** Join a segment to the one before. Returns where its text begins in the new one. */
  merge(index) {
    const { segment, offset } = joined(this.segments[index - 1], this.segments[index]);
    this.#set(this.segments.toSpliced(index - 1, 2, segment));
    return offset;
  }

  /** Give a segment to another speaker. */
  assign(index, speaker) {
    const segment = this.segments[index];
    const words = placed(segment).map(({ from, to, ...word }) => ({ ...word, speaker }));
    this.#set(this.segments.with(index, { ...segment, speaker, words }));
  }

  /** All places of a text: { index, from, to }. Case does not matter. */
  find(text) {
    if (!text) return [];
    const pattern = new RegExp(escaped(text), "giu");
    return this.segments.flatMap((segment, index) =>
      [...segment.text.matchAll(pattern)].map((match) => ({ index, from: match.index, to: match.index + match[0].length })),
    );
  }

  /** Replace the text at some places, in the order of find(), as one step of undo. */
  replace(places, replacement) {
    const segments = [...this.segments];
    for (const { index, from, to } of [...places].reverse()) {
      const { text } = segments[index];
      segments[index] = withText(segments[index], text.slice(0, from) + replacement + text.slice(to));
    }
    if (places.length) this.#set(segments);
  }

  /** Have these segments instead, as one step of undo. */
  restore(segments) {
    this.#set(segments);
  }

  /** Have the segments of another tab, as one step of undo. Those that are equal stay the same objects: see Transcript.show. */
  adopt(segments) {
    const own = new Map(this.segments.map((segment) => [JSON.stringify(segment), segment]));
    const adopted = segments.map((segment) => own.get(JSON.stringify(segment)) ?? segment);
    const isSame = adopted.length === this.segments.length && adopted.every((segment, index) => segment === this.segments[index]);
    if (!isSame) this.#set(adopted);
  }

  undo() {
    this.#step(this.#past, this.#future);
  }

  redo() {
    this.#step(this.#future, this.#past);
  }

  #step(from, to) {
    if (!from.length) return;
    to.push(this.segments);
    this.segments = from.pop();
    this.#typed = { index: -1, at: 0 };
    this.onChange();
  }

  #set(segments, goesOn = false) {
    if (!goesOn) this.#past.push(this.segments);
    if (this.#past.length > MAX_STEPS) this.#past.shift();
    this.#future = [];
    this.segments = segments;
    this.#typed = { index: -1, at: 0 };
    this.onChange();
  }
}
