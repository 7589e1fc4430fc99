// Correcting the open transcript, and saving it to its job.

import { ServiceError, ask, askJson, unreachable } from "./api.js";
import { announce, showError } from "./alerts.js";
import { TranscriptDocument } from "./document.js";
import { Editor } from "./editor.js";
import { Finder } from "./find.js";
import { enable } from "./focus.js";
import { draftOf, dropDraft, keepDraft } from "./kept.js";
import { Speakers, speakersOf } from "./speakers.js";
import { hear, tell } from "./tabs.js";

const DRAFT_MS = 500;
const CONFLICT = 412;
const CHANGED =
  "Someone else has changed this transcript. Save again to replace it with yours, or reload the page and press Undo to have theirs.";
const at = (id) => document.getElementById(id);

export class Correcting {
  // { job, document, saved, shared, version, tag, isKept, overwrites, saving }. saved: null if not here. shared: what other tabs have.
  // overwrites: the user knows that someone else has changed it; other tabs and the draft are not told, they ask again.
  #open = null;
  #timer = 0;

  /** transcript: the view. onShow: called when segments or speakers changed. onSaved: called after they were saved. */
  constructor(transcript, onShow, onSaved) {
    Object.assign(this, { transcript, onShow, onSaved });
    const documentOf = () => this.#open?.document ?? null;
    this.editor = new Editor(transcript, documentOf, () => this.#show());
    const find = { form: at("finding"), find: at("find"), replacement: at("replacement"), count: at("found") };
    const buttons = { next: at("find-next"), replace: at("replace"), all: at("replace-all") };
    this.finder = new Finder({ ...find, ...buttons }, transcript, documentOf, () => this.editor.show());
    this.speakers = new Speakers(at("people"), (names) => this.#rename(names).catch(showError), (only) => transcript.filter(only));
    at("edit").addEventListener("click", () => this.#toggle());
    at("undo").addEventListener("click", () => this.#step("undo"));
    at("redo").addEventListener("click", () => this.#step("redo"));
    at("save").addEventListener("click", () => this.save().catch(showError));
    at("original").addEventListener("click", () => this.#original().catch(showError));
    at("doubt").addEventListener("change", () => at("transcript").classList.toggle("shows-doubt", at("doubt").checked));
    window.addEventListener("keydown", (event) => this.#key(event));
    // Another tab may come next: it has everything by then.
    for (const name of ["pagehide", "blur"]) window.addEventListener(name, () => this.#open && this.#keep(this.#open));
    // A page that the browser had put aside has missed what other tabs told.
    window.addEventListener("pageshow", ({ persisted }) => persisted && this.#open && this.start(this.#open.job).catch(showError));
    hear((news) => this.#follow(news));
    window.addEventListener("beforeunload", (event) => {
      if (!this.isSaved && !this.#open.isKept) event.preventDefault(); // the browser asks
    });
  }

  get isEditing() {
    return at("edit").getAttribute("aria-pressed") === "true";
  }

  get isSaved() {
    return !this.#open || this.#open.document.segments === this.#open.saved;
  }

  /** Start with the transcript of a job, and go on with corrections that were not saved. */
  async start(job, signal) {
    const { segments, version, tag } = await read(job, signal);
    const draft = await draftOf(job);
    const document = new TranscriptDocument(segments, () => this.#changed());
    // With the draft's tag, the service refuses it if the transcript was changed since.
    const open = { job, document, saved: segments, version, tag: draft ? draft.tag : tag, isKept: true, overwrites: false, saving: Promise.resolve() };
    this.#open = open;
    if (draft) document.restore(draft.segments);
    this.#markShared(open);
    this.#show();
  }

  /** Stop, without losing what was not saved: it is kept in this browser. */
  stop() {
    this.editor.close();
    this.#press(false);
    clearTimeout(this.#timer);
    if (this.#open) this.#keep(this.#open);
    this.#open = null;
    at("people").hidden = true;
  }

  /** A word was chosen. Returns whether that opened its field. */
  choose({ index, offset }) {
    if (!this.#open || !this.isEditing) return false;
    this.editor.open(index, offset);
    return true;
  }

  /** Save corrections to the job, as a new version of its transcript. Waits for a save of it in progress, and fails with that. */
  save() {
    const open = this.#open;
    if (!open) return Promise.resolve();
    const saving = open.saving.then(() => this.#save(open));
    const end = () => {
      if (open.saving === saving) open.saving = Promise.resolve();
    };
    saving.then(end, end);
    open.saving = saving;
    return saving;
  }

  // One at a time: two with the tag of the same version would be taken for two users.
  async #save(open) {
    const { job, document, saved, tag, overwrites } = open;
    if (document.segments === saved) return;
    const { segments } = document;
    const body = JSON.stringify({ segments: segments.filter(({ text }) => text.trim()).map(sent) });
    const headers = { "Content-Type": "application/json", ...(tag && !overwrites ? { "If-Match": tag } : {}) };
    let response;
    try {
      response = await ask(`jobs/${job}/transcript`, { method: "PUT", headers, body });
    } catch (error) {
      if (error.status !== CONFLICT) throw error;
      open.overwrites = true;
      throw new ServiceError(CONFLICT, { message: CHANGED }, null);
    }
    const { version } = await response.json().catch(unreachable);
    Object.assign(open, { saved: segments, version, tag: response.headers.get("ETag"), overwrites: false });
    await this.#keep(open, true); // what was typed or told meanwhile is not saved
    if (this.#open !== open) return;
    announce("Saved");
    this.onSaved();
  }

  #press(pressed) {
    at("edit").setAttribute("aria-pressed", String(pressed));
    at("editing").hidden = !pressed;
    at("transcript").classList.toggle("editing", pressed);
  }

  async #toggle() {
    const starts = !this.isEditing;
    this.#press(starts);
    if (starts) return;
    this.editor.close();
    await this.save().catch(showError);
  }

  #show() {
    this.#people();
    this.editor.show();
    this.finder.refresh();
    this.#note();
  }

  #people() {
    const { segments } = this.#open.document;
    const named = speakersOf(segments);
    // Colours stay with their speakers while segments change.
    const kept = this.transcript.speakers.filter((label) => named.includes(label));
    this.transcript.speakers = [...kept, ...named.filter((label) => !kept.includes(label))];
    this.speakers.show(this.transcript.speakers, segments);
    this.onShow(segments, this.transcript.speakers);
  }

  #changed() {
    clearTimeout(this.#timer);
    const open = this.#open;
    this.#timer = setTimeout(() => this.#keep(open), DRAFT_MS);
    this.#note();
  }

  // Keep what is not saved, and show it in other tabs. All tabs share one draft; unless they followed, one would overwrite
  // what another has.
  async #keep(open, wasSaved = false) {
    const { job, document, saved, shared, tag, isKept } = open;
    const { segments } = document;
    if (segments === shared && isKept && !wasSaved) return;
    this.#tell(open, wasSaved);
    if (segments === saved) await dropDraft(job);
    open.isKept = segments === saved || (await keepDraft(job, segments, tag));
    if (this.#open === open) this.#note();
  }

  #tell(open, wasSaved) {
    const { job, document, saved, version, tag } = open;
    const { segments } = document;
    tell({ job, segments, isSaved: segments === saved, wasSaved, version, tag });
    open.shared = segments;
  }

  /** Another tab has corrected or saved the transcript that is open here, too. Undo brings back what was here. */
  #follow({ job, segments, isSaved, wasSaved, version, tag }) {
    const open = this.#open;
    if (open?.job !== job) return;
    const { document } = open;
    const isOutdated = version < open.version; // told before that tab had heard of the last save
    if (wasSaved && isOutdated) return;
    const adopts = document.segments === open.shared; // or it was typed here since, which the other tab gets next
    if (adopts) {
      document.adopt(segments);
      this.#markShared(open);
      open.isKept = true;
    }
    if (!isOutdated && (adopts || wasSaved)) {
      if (isSaved || version > open.version) open.saved = isSaved && adopts ? document.segments : null;
      Object.assign(open, { version, tag, overwrites: open.overwrites && !wasSaved });
    }
    this.#show();
  }

  /** Other tabs have what this one shows. */
  #markShared(open) {
    clearTimeout(this.#timer);
    open.shared = open.document.segments;
  }

  #note() {
    const { document, version, isKept } = this.#open;
    enable(at("undo"), document.canUndo);
    enable(at("redo"), document.canRedo);
    enable(at("save"), !this.isSaved);
    at("original").hidden = this.isSaved && version === 0;
    const saved = version === 0 ? "" : `This is version ${version} of the transcript; the original is kept.`;
    const unsaved = isKept ? "Not saved yet; kept in this browser." : "Not saved yet, and this browser has no room to keep it.";
    at("saved").textContent = this.isSaved ? saved : unsaved;
  }

  #step(direction) {
    this.#open?.document[direction]();
    this.#show();
  }

  async #original() {
    const { job, document } = this.#open;
    const { segments } = await askJson(`jobs/${job}/transcript?version=0`);
    if (this.#open?.document !== document) return;
    document.restore(segments);
    this.#show();
  }

  // Names are the job's, so what is not saved is saved before.
  async #rename(names) {
    const { job } = this.#open;
    await this.save();
    const headers = { "Content-Type": "application/json" };
    await ask(`jobs/${job}/speakers`, { method: "POST", headers, body: JSON.stringify(names) });
    if (this.#open?.job !== job) return;
    this.transcript.speakers = [...new Set(this.transcript.speakers.map((label) => names[label] ?? label))];
    if (this.speakers.only in names) this.speakers.only = names[this.speakers.only];
    await this.start(job);
    if (this.#open?.job === job) this.#tell(this.#open, true);
    this.onSaved();
  }

  #key(event) {
    if (!this.#open || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    const isElsewhere = event.target.closest?.("input, select, dialog");
    const key = event.key.toLowerCase();
    const act = {
      s: this.isEditing && (() => this.save().catch(showError)),
      z: this.isEditing && !isElsewhere && (() => this.#step(event.shiftKey ? "redo" : "undo")),
      y: this.isEditing && !isElsewhere && (() => this.#step("redo")),
      h: this.isEditing && (() => at("find").focus()),
    }[key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

async function read(job, signal) {
  const response = await ask(`jobs/${job}/transcript`, { signal });
  return { ...(await response.json().catch(unreachable)), tag: response.headers.get("ETag") };
}

/** A segment as the service takes it. */
const sent = ({ start, end, text, speaker, words }) => ({
  start,
  end,
  text,
  ...(speaker ? { speaker } : {}),
  ...(words?.length ? { words: words.map(({ word, start, end, confidence }) => ({ word, start, end, confidence })) } : {}),
});
