// Recent recordings in this browser: their jobs, the status of each, and corrections of the text.

import { ServiceError, ask, askJson } from "./api.js";

const JOBS = "jobs";
const MAX_JOBS = 50;
const POLL_MS = 2000;
const UNFINISHED = ["queued", "processing"];

function read(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // storage is full or turned off; the page works without it
  }
}

/** Corrections of a job's text, by segment index. */
export const corrections = (job) => read(`corrections-${job}`, {});
export const keepCorrection = (job, index, text) => write(`corrections-${job}`, { ...corrections(job), [index]: text });
export const dropCorrections = (job) => localStorage.removeItem(`corrections-${job}`);

const endOf = ({ status, detail, expires }) => (Date.parse(expires) < Date.now() ? { status: "expired" } : { status, detail });

function timeOf(milliseconds) {
  const time = document.createElement("time");
  const date = new Date(milliseconds);
  time.dateTime = date.toISOString();
  time.textContent = date.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return time;
}

function reasonOf(detail) {
  const text = document.createElement("p");
  text.className = "why quiet";
  text.textContent = detail;
  return text;
}

export class RecentJobs {
  /** section: hidden if there are no jobs. handlers: open(job, name), failed(error), deleted(job). */
  constructor(section, list, handlers) {
    this.section = section;
    this.list = list;
    this.handlers = handlers;
    this.states = new Map(this.jobs.filter((job) => job.end).map((job) => [job.id, endOf(job.end)]));
    this.show();
    this.poll();
  }

  get jobs() {
    return read(JOBS, []);
  }

  add(id, name) {
    write(JOBS, [{ id, name, at: Date.now() }, ...this.jobs.filter((job) => job.id !== id)].slice(0, MAX_JOBS));
    this.states.set(id, { status: "queued", progress: 0 });
    this.show();
  }

  forget(id) {
    write(JOBS, this.jobs.filter((job) => job.id !== id));
    dropCorrections(id);
    this.states.delete(id);
    this.show();
  }

  /** Fetch the status of the jobs that may have changed. */
  async refresh() {
    for (const { id } of this.jobs) {
      const known = this.states.get(id);
      if (known && !UNFINISHED.includes(known.status)) continue;
      try {
        const { status, progress, detail, expires_at: expires } = await askJson(`status/${id}?include=none`);
        this.states.set(id, { status, progress, detail });
        if (!UNFINISHED.includes(status)) this.#keepEnd(id, { status, detail, expires });
      } catch (error) {
        if (!(error instanceof ServiceError)) return;
        if (error.status === 404) this.states.set(id, { status: "expired" });
        else if (error.status === 401 || error.status === 403) return;
      }
    }
    this.show();
  }

  /** A job could not be fetched. */
  missed(id, error) {
    if (error.status !== 404) return;
    this.states.set(id, { status: "expired" });
    this.show();
  }

  // The end of a job does not change, so it is fetched only once.
  #keepEnd(id, end) {
    write(JOBS, this.jobs.map((job) => (job.id === id ? { ...job, end } : job)));
  }

  async poll() {
    while (true) {
      if (!document.hidden) await this.refresh();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  show() {
    const jobs = this.jobs;
    this.section.hidden = jobs.length === 0;
    const drawn = JSON.stringify(jobs.map((job) => [job, this.states.get(job.id)]));
    if (drawn === this.drawn) return; // unchanged; redrawing would lose the focus every two seconds
    this.drawn = drawn;
    const focused = document.activeElement?.dataset?.action;
    this.list.replaceChildren(...jobs.map((job) => this.#row(job)));
    if (!focused) return;
    const place = this.list.querySelector(`[data-action="${focused}"]`) ?? this.section.querySelector("h2");
    place.focus();
  }

  #row({ id, name, at }) {
    const { status = "unknown", progress = 0, detail = "" } = this.states.get(id) ?? {};
    const row = document.createElement("li");
    const title = document.createElement("span");
    title.className = "name";
    title.textContent = name;
    if (at) title.append(timeOf(at));
    const state = document.createElement("span");
    state.className = "state";
    state.textContent = status === "processing" ? `${progress} %` : status;
    row.append(title, state);
    if (status === "completed" || UNFINISHED.includes(status)) row.append(this.#button(id, name, "Open", () => this.handlers.open(id, name)));
    if (UNFINISHED.includes(status)) row.append(this.#button(id, name, "Cancel", () => this.#act(id, `jobs/${id}`, "DELETE")));
    if (status === "failed") row.append(this.#button(id, name, "Retry", () => this.#retry(id, name)));
    if (!UNFINISHED.includes(status)) row.append(this.#button(id, name, "Delete", () => this.#delete(id)));
    if (status === "failed") row.append(reasonOf(detail));
    return row;
  }

  #button(id, name, label, action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-label", `${label} ${name}`);
    button.dataset.action = `${label}-${id}`;
    button.addEventListener("click", action);
    return button;
  }

  async #act(id, path, method) {
    try {
      await ask(path, { method });
      this.states.delete(id);
      this.#keepEnd(id, null);
      await this.refresh();
      return true;
    } catch (error) {
      this.handlers.failed(error);
      return false;
    }
  }

  async #retry(id, name) {
    if (await this.#act(id, `jobs/${id}/retry`, "POST")) this.handlers.open(id, name);
  }

  async #delete(id) {
    const state = this.states.get(id)?.status;
    if (state !== "expired" && !(await this.#act(id, `jobs/${id}`, "DELETE"))) return;
    this.forget(id);
    this.handlers.deleted(id);
  }
}
