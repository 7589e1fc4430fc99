// The list of recordings on the page: those being sent, and jobs; searched and in pages.

import { enable } from "./focus.js";
import { shortClock } from "./formats.js";
import { UNFINISHED, secondsLeft } from "./recordings.js";

const PAGE_SIZE = 20;
const STOPPED = ["failed", "cancelled"];

const labels = {
  waiting: () => "waiting",
  uploading: ({ share }) => `sending ${Math.round(share * 100)} %`,
  processing: (state) => [`${state.progress} %`, left(secondsLeft(state))].filter(Boolean).join(", "),
};

// What is being sent comes first, then what needs the user.
const RANKS = ["uploading", "not sent", "busy", "waiting"];
const rank = ({ status }) => RANKS.indexOf(status);

/** 83 -> "1:23 left" */
export const left = (seconds) => (seconds === null ? "" : `${shortClock(seconds)} left`);

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function timeOf(milliseconds) {
  const time = document.createElement("time");
  const date = new Date(milliseconds);
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return time;
}

export class RecordingList {
  #page = 0;
  #drawn = "";

  /** parts: { section, list, search, pager, older, newer, place, all, count, home }. home: gets the focus when nothing is left.
   * actions: functions of an entry by the label of their button. */
  constructor(parts, uploads, recordings, actions) {
    Object.assign(this, { parts, uploads, recordings, actions });
    parts.search.addEventListener("input", () => this.#turn(-this.#page));
    parts.older.addEventListener("click", () => this.#turn(1));
    parts.newer.addEventListener("click", () => this.#turn(-1));
  }

  /** The entries that the search finds: { id, name, at, status, ... }. The queue in the order in which it is sent, then jobs, the newest first. */
  get found() {
    const jobs = this.recordings.jobs.map((job) => ({ ...job, ...this.recordings.stateOf(job.id) }));
    const uploads = this.uploads.all.map((upload) => ({ ...upload, upload })).reverse();
    uploads.sort((one, other) => rank(one) - rank(other));
    const words = this.parts.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return [...uploads, ...jobs].filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  }

  get #shown() {
    return this.found.slice(this.#page * PAGE_SIZE, (this.#page + 1) * PAGE_SIZE);
  }

  isShown = (id) => this.#shown.some((entry) => entry.id === id);

  #turn(pages) {
    this.#page += pages;
    this.show();
    this.recordings.refresh();
  }

  show() {
    const { section, list, pager, older, newer, place, search, all, count, home } = this.parts;
    const { found } = this;
    section.hidden = this.recordings.jobs.length + this.uploads.all.length === 0;
    this.#page = Math.max(0, Math.min(this.#page, Math.ceil(found.length / PAGE_SIZE) - 1));
    const shown = this.#shown;
    const first = this.#page * PAGE_SIZE;
    pager.hidden = found.length <= PAGE_SIZE;
    place.textContent = `${first + 1} to ${first + shown.length} of ${found.length}`;
    enable(newer, this.#page > 0);
    enable(older, first + PAGE_SIZE < found.length);
    search.parentElement.hidden = this.recordings.jobs.length < 2;
    const completed = found.filter(({ status }) => status === "completed").length;
    all.hidden = completed < 2;
    count.textContent = found.length ? "" : "No recording has this name.";
    const drawn = JSON.stringify(shown.map(({ upload, file, abort, ...entry }) => [entry, labels[entry.status]?.(entry)]));
    if (drawn === this.#drawn) return; // unchanged; redrawing would lose the focus every two seconds
    this.#drawn = drawn;
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    const number = [...list.children].indexOf(focused?.closest("li"));
    list.replaceChildren(...shown.map((entry) => this.#row(entry)));
    if (!focused) return;
    // The first button of a row, not the last: a key that is held down must not delete the next recording, too.
    const instead = list.children[Math.min(number, shown.length - 1)]?.querySelector("button");
    (list.querySelector(`[data-action="${focused.dataset.action}"]`) ?? instead ?? home).focus();
  }

  #row(entry) {
    const { name, at, status, detail } = entry;
    const row = document.createElement("li");
    const title = element("span", "name", "");
    title.append(element("bdi", "", name)); // runs as it is read, and begins where the others do
    if (at) title.append(timeOf(at));
    row.append(title, element("span", "state", labels[status]?.(entry) ?? status));
    for (const label of buttonsOf(entry)) row.append(this.#button(entry, label));
    if (detail && status !== "cancelled") row.append(element("p", "why quiet", detail));
    return row;
  }

  #button(entry, label) {
    const button = element("button", "", label);
    button.type = "button";
    button.setAttribute("aria-label", `${label} ${entry.name}`);
    button.dataset.action = `${label}-${entry.id}`;
    button.addEventListener("click", () => this.actions[label](entry));
    return button;
  }
}

function buttonsOf({ upload, status }) {
  if (upload) return status === "not sent" ? ["Retry", "Cancel"] : ["Cancel"];
  if (UNFINISHED.includes(status)) return ["Open", "Cancel"];
  if (status === "completed") return ["Open", "Delete"];
  return STOPPED.includes(status) ? ["Open", "Retry", "Delete"] : ["Delete"];
}
