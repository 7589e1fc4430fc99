// The recording that is open: sent, followed, shown, and closed.

import { ServiceError, askJson, follow } from "./api.js";
import { announce, hideError, report, showError } from "./alerts.js";
import { copy, download, downloadPart, offer, subtitles } from "./downloads.js";
import { hide } from "./focus.js";
import { render } from "./formats.js";
import { fileOf } from "./kept.js";
import { left } from "./list.js";
import { secondsLeft } from "./recordings.js";

const at = (id) => document.getElementById(id);

export class Work {
  #subtitleRequest = new AbortController();

  /** parts: { transcript, player, waveform, correcting, recordings }. */
  constructor(parts) {
    Object.assign(this, parts);
    this.current = null; // { job, name, file, abort, upload, result }
    at("download").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#download().catch(showError);
    });
    at("layout").addEventListener("change", () => this.#subtitle());
    at("player").addEventListener("loadedmetadata", () => this.#subtitle());
    at("copy").addEventListener("click", () => this.#copy(render(this.#segments, "text"), "The text is copied."));
    at("link").addEventListener("click", () => this.#copy(location.href, "The link is copied."));
    at("cancel").addEventListener("click", () => this.#cancel());
    at("listen").addEventListener("change", () => {
      const [file] = at("listen").files;
      if (file && this.current) this.#listen(file);
    });
  }

  /** Show a recording that is being sent, and then its job. */
  async send(upload) {
    const work = this.#begin({ job: null, name: upload.name, file: upload.file, upload });
    this.#listen(upload.file);
    this.progress();
    try {
      work.job = await upload.job;
    } catch (error) {
      if (work === this.current) this.close(work.job);
      throw error;
    }
    if (work !== this.current) return;
    work.upload = null;
    this.#address(work.job);
    await this.#follow(work);
  }

  /** Show a job. */
  async open(job, name) {
    const file = this.current?.job === job ? this.current.file : await fileOf(job);
    const work = this.#begin({ job, name, file });
    this.#listen(file);
    this.#address(job);
    at("work").scrollIntoView();
    if (at("recent").contains(document.activeElement)) at("work-title").focus(); // the list is out of sight now
    await this.#follow(work);
  }

  /** Hide a recording, if it is the open one. */
  close(job) {
    if (this.current?.job !== job) return;
    this.current.abort.abort();
    this.#leave();
    this.current = null;
    this.#address(null);
    hide(at("work"), at("file"));
    document.title = "Transcription";
  }

  /** Show how far the open recording is. */
  progress() {
    const { upload, job } = this.current ?? {};
    if (upload?.status === "uploading") report("Uploading", upload.share);
    else if (upload) report("Waiting to be sent", null);
    else if (job && !at("running").hidden) {
      const state = this.recordings.stateOf(job);
      const more = left(secondsLeft(state));
      if (state.status === "queued") report("Waiting in the queue", null, more);
      else if (state.status === "processing") report("Transcribing", state.progress / 100, more);
    }
  }

  /** Show segments and speakers beside the transcript. */
  speech(segments, speakers) {
    const { result } = this.current;
    at("keys").hidden = segments.length === 0;
    if (result) this.waveform.speech(segments, speakers, result.duration);
  }

  /** Corrections were saved: subtitles show them. */
  saved() {
    this.#subtitle();
  }

  #begin(work) {
    if (this.current) this.#leave();
    this.current?.abort.abort(); // an upload continues, and is listed when it is complete
    this.current = { ...work, abort: new AbortController(), result: null };
    this.transcript.speakers = [];
    this.transcript.show([]);
    at("work").hidden = false;
    at("work-title").textContent = work.name;
    document.title = `${work.name} – Transcription`;
    at("running").hidden = false;
    for (const id of ["done", "correction", "keys", "no-speech", "about-file", "incomplete"]) hide(at(id), at("work-title"));
    hideError();
    return this.current;
  }

  #leave() {
    this.correcting.stop();
    this.player.load(null);
    this.waveform.clear();
  }

  // A link to the open job. The file is not in it, and neither is the key.
  #address(job) {
    const hash = job ? `#job=${job}` : location.pathname + location.search;
    if (location.hash !== hash) history.replaceState(null, "", hash);
  }

  #listen(file) {
    this.current.file = file;
    this.player.load(file);
    this.waveform.load(file).then(() => this.current?.file === file && this.#strip());
  }

  #strip() {
    if (this.current.result) this.waveform.speech(this.#segments, this.transcript.speakers, this.current.result.duration);
  }

  get #segments() {
    return this.transcript.segments;
  }

  /** Follow a job to its end. A retry does not upload the recording again: the service has it. */
  async #follow(work) {
    try {
      await this.#watch(work);
    } catch (error) {
      if (work !== this.current) return; // the page shows another recording by now
      this.#hideProgress();
      this.recordings.missed(work.job, error);
      showError(error, () => this.open(work.job, work.name));
    }
  }

  async #watch(work) {
    if (this.recordings.stateOf(work.job).status === "completed") {
      await this.#finish(work);
      return;
    }
    report("Waiting", null);
    for await (const { event, data } of follow(work.job, work.abort.signal)) {
      if (work !== this.current) return;
      if (event === "segment") this.transcript.add(data);
      else if (event === "progress") {
        const { completion } = this.recordings.stateOf(work.job);
        this.recordings.states.set(work.job, { status: data.status, progress: data.progress, completion });
        this.progress();
      } else if (event === "completed") await this.#finish(work);
      else this.#stopped(event, data);
    }
  }

  /** The job ended without a result. What there is of the text stays. */
  #stopped(event, data) {
    this.#hideProgress();
    announce(event);
    this.recordings.refresh([this.current.job]);
    this.#showPart();
    if (event === "failed") showError(new ServiceError(0, { message: data.detail ?? data.error }, null));
  }

  #showPart() {
    if (!this.#segments.length) return;
    at("incomplete").hidden = false;
    this.#offer(false);
  }

  #offer(isWhole) {
    offer(at("format"), isWhole);
    at("layout").hidden = !isWhole;
    at("done").hidden = false;
    this.#note("");
  }

  /** Show the final transcript, from which suspected hallucinations may have been dropped. */
  async #finish(work) {
    const { signal } = work.abort;
    const result = await askJson(`jobs/${work.job}/result?response_format=verbose_json`, { signal });
    if (work !== this.current) return;
    work.result = result;
    await this.correcting.start(work.job, signal);
    if (work !== this.current) return;
    this.#hideProgress();
    this.#offer(true);
    at("correction").hidden = false;
    at("transcript").scrollTop = 0;
    at("no-speech").hidden = result.segments.length > 0;
    const aboutFile = result.warnings.filter(({ code }) => code !== "suspected_hallucination");
    at("about-file").textContent = aboutFile.map(({ message }) => message).join(" ");
    at("about-file").hidden = aboutFile.length === 0;
    announce(result.segments.length ? "Done" : "Done. This recording contains no speech.");
    this.recordings.refresh([work.job]);
    this.#subtitle();
  }

  #hideProgress() {
    hide(at("running"), at("work-title"));
  }

  // Answers may come in another order than they were asked for: only the last one counts.
  #subtitle() {
    const work = this.current;
    if (!work?.result || !this.player.hasPictures) return;
    this.#subtitleRequest.abort();
    this.#subtitleRequest = new AbortController();
    const { signal } = this.#subtitleRequest;
    subtitles(work.job, at("download"), signal)
      .then((content) => work === this.current && !signal.aborted && this.player.subtitles(content))
      .catch((error) => work === this.current && !signal.aborted && showError(error));
  }

  #note(text) {
    at("note").textContent = text;
  }

  async #download() {
    hideError();
    if (!this.current.result) {
      downloadPart(this.#segments, this.current.name, at("format"));
      return;
    }
    await this.correcting.save();
    const fast = await download(this.current, at("format"), at("download"));
    this.#note(fast ? `${fast} cues are too fast to read.` : "");
  }

  #copy(text, done) {
    copy(text).then(() => this.#note(done), () => this.#note("This browser does not let the page copy. Download the text instead."));
  }

  async #cancel() {
    const { job, upload, abort } = this.current;
    abort.abort();
    this.#hideProgress();
    announce("Cancelled");
    if (!job) {
      this.cancelUpload(upload);
      return;
    }
    this.#showPart();
    await this.recordings.cancel(job).catch(showError);
  }
}
