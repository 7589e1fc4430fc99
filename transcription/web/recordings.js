// Recent recordings of this browser: their jobs, and the status of each.

import { ServiceError, ask, askJson } from "./api.js";
import { forget } from "./kept.js";

const JOBS = "jobs";
const MAX_JOBS = 500;
const POLL_MS = 2000;
export const UNFINISHED = ["queued", "processing"];

function read() {
  try {
    return JSON.parse(localStorage.getItem(JOBS)) ?? [];
  } catch {
    return [];
  }
}

function write(jobs) {
  try {
    localStorage.setItem(JOBS, JSON.stringify(jobs));
  } catch {
    // storage is full or turned off; the page works without it
  }
}

const endOf = ({ status, detail, expires }) => (Date.parse(expires) < Date.now() ? { status: "expired" } : { status, detail });

/** How long until a job is done, in seconds, or null. completion: ISO 8601. */
export const secondsLeft = ({ completion } = {}) => (completion ? Math.max(0, (Date.parse(completion) - Date.now()) / 1000) : null);

export class Recordings {
  /** onChange: called when there is something new to show. isShown: whether the status of a job is wanted now. */
  constructor(onChange, isShown) {
    this.onChange = onChange;
    this.isShown = isShown;
    this.jobs = read(); // { id, name, at, end }, the newest first
    this.states = new Map(this.jobs.filter((job) => job.end).map((job) => [job.id, endOf(job.end)]));
    // Comes when another tab wrote.
    window.addEventListener("storage", ({ key }) => {
      if (key !== JOBS) return;
      this.jobs = read();
      this.onChange();
    });
  }

  /** { status, progress, detail, completion } */
  stateOf(id) {
    return this.states.get(id) ?? { status: "unknown" };
  }

  nameOf(id) {
    return this.jobs.find((job) => job.id === id)?.name ?? null;
  }

  add(id, name) {
    this.#write([{ id, name, at: Date.now() }, ...read().filter((job) => job.id !== id)].slice(0, MAX_JOBS));
    this.states.set(id, { status: "queued", progress: 0 });
    this.onChange();
  }

  drop(id) {
    this.#write(read().filter((job) => job.id !== id));
    forget(id);
    this.states.delete(id);
    this.onChange();
  }

  /** A job could not be fetched. */
  missed(id, error) {
    if (error.status === 404) this.#set(id, { status: "expired" });
  }

  /** Fetch the status of some jobs, by default of those on the page, unless they are known to have ended. */
  async refresh(ids = null) {
    const mayChange = ({ id }) => UNFINISHED.includes(this.stateOf(id).status) || !this.states.has(id);
    const open = this.jobs.filter(mayChange).map(({ id }) => id);
    for (const id of open.filter((each) => (ids ? ids.includes(each) : this.isShown(each)))) {
      try {
        const { status, progress, detail, expires_at: expires, estimated_completion: completion } = await askJson(`status/${id}?include=none`);
        this.#set(id, { status, progress, detail, completion });
        if (!UNFINISHED.includes(status)) this.#keepEnd(id, { status, detail, expires });
      } catch (error) {
        if (!(error instanceof ServiceError) || error.status === 401 || error.status === 403) return;
        this.missed(id, error);
      }
    }
  }

  async poll() {
    while (true) {
      if (!document.hidden) await this.refresh();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Cancel an unfinished job, or delete a finished one at the service. */
  cancel(id) {
    return this.#act(id, `jobs/${id}`, "DELETE");
  }

  retry(id) {
    return this.#act(id, `jobs/${id}/retry`, "POST");
  }

  async delete(id) {
    if (this.stateOf(id).status !== "expired") await ask(`jobs/${id}`, { method: "DELETE" }).catch(unlessUnknown);
    this.drop(id);
  }

  async #act(id, path, method) {
    await ask(path, { method });
    this.states.delete(id);
    this.#keepEnd(id, null);
    await this.refresh([id]);
  }

  #set(id, state) {
    this.states.set(id, state);
    this.onChange();
  }

  // The end of a job does not change, so it is fetched only once.
  #keepEnd(id, end) {
    this.#write(read().map((job) => (job.id === id ? { ...job, end } : job)));
  }

  // Another tab may have written since: read() comes before each write.
  #write(jobs) {
    this.jobs = jobs;
    write(jobs);
  }
}

function unlessUnknown(error) {
  if (error.status !== 404) throw error;
}
