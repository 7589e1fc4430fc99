// Find and replace in the transcript. What is found is marked with the CSS Custom Highlight API, without changing the page.

import { enable } from "./focus.js";

const ALL = "found";
const CURRENT = "found-current";

export class Finder {
  #places = [];
  #current = -1;

  /** parts: { form, find, replacement, count, next, replace, all }. transcript: the view. documentOf: what is searched. onReplace: shows the change. */
  constructor(parts, transcript, documentOf, onReplace) {
    Object.assign(this, { parts, transcript, documentOf, onReplace });
    parts.find.addEventListener("input", () => this.refresh());
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go(this.#current + 1);
    });
    parts.replace.addEventListener("click", () => this.#replaceOne());
    parts.all.addEventListener("click", () => this.#replaceAll());
  }

  /** Search again, after the text or the transcript changed. */
  refresh() {
    this.#places = this.documentOf()?.find(this.parts.find.value) ?? [];
    this.#go(this.#places.length ? Math.min(Math.max(this.#current, 0), this.#places.length - 1) : -1, false);
  }

  #go(number, shows = true) {
    this.#current = this.#places.length ? number % this.#places.length : -1;
    const { find, count, next, replace, all } = this.parts;
    const found = this.#places.length;
    count.textContent = !find.value ? "" : found ? `${this.#current + 1} of ${found}` : "Not found";
    for (const button of [next, replace, all]) enable(button, found > 0);
    this.#mark();
    if (shows && found) this.transcript.scrollTo(this.transcript.rowOf(this.#places[this.#current].index));
  }

  #mark() {
    if (!globalThis.CSS?.highlights) return;
    const ranges = this.#places.map((place) => rangeOf(this.transcript.textOf(place.index), place));
    CSS.highlights.set(ALL, new Highlight(...ranges.filter(Boolean)));
    CSS.highlights.set(CURRENT, new Highlight(...[ranges[this.#current]].filter(Boolean)));
  }

  #replace(places) {
    this.documentOf().replace(places, this.parts.replacement.value);
    this.onReplace();
    this.refresh();
    if (places.length) this.parts.count.textContent = `${places.length} replaced`;
  }

  #replaceAll() {
    this.refresh(); // the text may have been typed in since
    this.#replace(this.#places);
  }

  #replaceOne() {
    this.refresh();
    const place = this.#places[this.#current];
    if (!place) return;
    this.#replace([place]);
    // The next one is behind what was put in, which may have the text in it.
    const end = place.from + this.parts.replacement.value.length;
    const next = this.#places.findIndex(({ index, from }) => index > place.index || (index === place.index && from >= end));
    this.#go(Math.max(next, 0));
  }
}

/** A stretch of the text of an element as a range. Null if it is not there, because a field is. */
function rangeOf(element, { from, to }) {
  const range = document.createRange();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let at = 0;
  let started = false;
  while (walker.nextNode()) {
    const { length } = walker.currentNode;
    if (!started && from < at + length) {
      range.setStart(walker.currentNode, from - at);
      started = true;
    }
    if (started && to <= at + length) {
      range.setEnd(walker.currentNode, to - at);
      return range;
    }
    at += length;
  }
  return null;
}
