// The people who speak: their names, colours and shares; rename once for all, merge two, show only one.

const COLOURS = 8; // in transcript.css

/** The class of a speaker's colour, "" for no one. labels: of all speakers, in the order of their colours. */
export function colourOf(label, labels) {
  const place = labels.indexOf(label);
  return place < 0 ? "" : `speaker-${place % COLOURS}`;
}

/** Labels of the speakers of some segments, in the order in which they first speak. */
export const speakersOf = (segments) => [...new Set(segments.map(({ speaker }) => speaker).filter(Boolean))];

/** Seconds of speech by label. */
function secondsOf(segments) {
  const seconds = new Map();
  for (const { speaker, start, end } of segments) seconds.set(speaker, (seconds.get(speaker) ?? 0) + end - start);
  return seconds;
}

export class Speakers {
  /** element: the list. onRename: called with an object of new names by old ones. onFilter: called with a label or null. */
  constructor(element, onRename, onFilter) {
    Object.assign(this, { element, onRename, onFilter, only: null });
  }

  show(labels, segments) {
    this.element.hidden = labels.length === 0;
    if (!labels.includes(this.only)) this.only = null;
    const seconds = secondsOf(segments);
    const total = [...seconds.values()].reduce((sum, each) => sum + each, 0) || 1;
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.place : null;
    this.element.replaceChildren(
      ...labels.map((label, index) => this.#row(label, index, labels, Math.round((100 * (seconds.get(label) ?? 0)) / total))),
    );
    if (focused) (this.element.querySelector(`[data-place="${focused}"]`) ?? this.element.querySelector("input"))?.focus();
    this.onFilter(this.only);
  }

  #row(label, index, labels, share) {
    const row = document.createElement("li");
    row.className = colourOf(label, labels);
    const quiet = document.createElement("span");
    quiet.className = "share";
    quiet.textContent = `${share} %`;
    row.append(this.#name(label, index), quiet, this.#filter(label, index));
    if (labels.length > 1) row.append(...this.#merge(label, index, labels));
    return row;
  }

  #name(label, index) {
    const input = document.createElement("input");
    input.value = label;
    input.dir = "auto";
    input.maxLength = 100;
    input.spellcheck = false;
    input.dataset.place = `name-${index}`;
    input.setAttribute("aria-label", `Name of ${label}`);
    // Comes on Enter, too.
    input.addEventListener("change", () => {
      const name = input.value.trim();
      if (name && name !== label) this.onRename({ [label]: name });
      else input.value = label;
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") input.value = label;
    });
    return input;
  }

  #filter(label, index) {
    const button = this.#button("Only", `Show only ${label}`, `only-${index}`);
    button.setAttribute("aria-pressed", String(this.only === label));
    button.addEventListener("click", () => {
      this.only = this.only === label ? null : label;
      for (const other of this.element.querySelectorAll("[aria-pressed]")) other.setAttribute("aria-pressed", String(other === button && this.only !== null));
      this.onFilter(this.only);
    });
    return button;
  }

  #merge(label, index, labels) {
    const select = document.createElement("select");
    select.dataset.place = `merge-${index}`;
    select.setAttribute("aria-label", `${label} is the same person as`);
    select.append(new Option("Same as …", ""), ...labels.filter((other) => other !== label).map((other) => new Option(other, other)));
    // Not at once: arrow keys go through a closed list, and change it with each step.
    const merge = this.#button("Merge", `Make ${label} the same person`, `merge-now-${index}`);
    merge.hidden = true;
    merge.addEventListener("click", () => this.onRename({ [label]: select.value }));
    select.addEventListener("change", () => {
      merge.hidden = !select.value;
    });
    return [select, merge];
  }

  #button(text, label, place) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.dataset.place = place;
    button.setAttribute("aria-label", label);
    return button;
  }
}
