// Sends recordings to the service, a few at a time; each becomes a job.

import { ServiceError, submit } from "./api.js";

const AT_ONCE = 2;
const RETRY_SECONDS = 15;
const BUSY = [429, 503];

export class Uploads {
  #number = 0;

  /** onChange: called when the state of one changes. onJob: called with a job and its recording. */
  constructor(onChange, onJob) {
    this.onChange = onChange;
    this.onJob = onJob;
    this.all = [];
  }

  /** Queue a recording. isPatient: wait while the service is busy. Returns { id, name, file, status, share, job }; job is a promise of its id. */
  add(file, fields, isPatient) {
    this.#number += 1;
    const upload = { id: `upload-${this.#number}`, name: file.name, file, fields, isPatient, at: Date.now() };
    this.all = [upload, ...this.all];
    this.retry(upload);
    return upload;
  }

  /** Send a recording again that could not be sent. */
  retry(upload) {
    Object.assign(upload, { status: "waiting", share: 0, detail: "", abort: new AbortController() });
    upload.job = new Promise((resolve, reject) => Object.assign(upload, { resolve, reject }));
    upload.job.catch(() => {}); // the list shows it
    this.#next();
  }

  /** Stop sending a recording, and forget it. */
  cancel(upload) {
    upload.abort.abort();
    this.#drop(upload);
    upload.reject(new DOMException("cancelled", "AbortError"));
    this.#next();
  }

  #drop(upload) {
    this.all = this.all.filter((each) => each !== upload);
  }

  #next() {
    const running = this.all.filter(({ status }) => status === "uploading").length;
    const waiting = this.all.filter(({ status }) => status === "waiting").reverse(); // the oldest first
    for (const upload of waiting.slice(0, Math.max(0, AT_ONCE - running))) this.#send(upload);
    this.onChange();
  }

  async #send(upload) {
    upload.status = "uploading";
    const progress = (share) => {
      upload.share = share;
      this.onChange();
    };
    try {
      const job = await submit(upload.file, upload.fields, progress, upload.abort.signal);
      this.#drop(upload);
      this.onJob(job, upload);
      upload.resolve(job);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (upload.isPatient && error instanceof ServiceError && BUSY.includes(error.status)) this.#sendLater(upload, error);
      else {
        Object.assign(upload, { status: "not sent", detail: error.message });
        upload.reject(error);
      }
    }
    this.#next();
  }

  #sendLater(upload, { message, retryAfter }) {
    const seconds = retryAfter ?? RETRY_SECONDS;
    Object.assign(upload, { status: "busy", detail: `${message} Sent again in ${seconds} s.` });
    setTimeout(() => {
      if (!this.all.includes(upload) || upload.status !== "busy") return;
      Object.assign(upload, { status: "waiting", detail: "" });
      this.#next();
    }, seconds * 1000);
  }
}
