// Connects the parts of the page.

import { ServiceError, ask, askJson, follow, keepKey, keptKey, submit } from "./api.js";
import { canRender, nameOf, render } from "./formats.js";
import { RecentJobs, corrections, dropCorrections, keepCorrection } from "./jobs.js";
import { Player } from "./player.js";
import { Transcript } from "./transcript.js";

const at = (id) => document.getElementById(id);
const ANNOUNCEMENT_STEP = 10; // percent
const SCRIPTS = { zh: [["zh-Hans", "Chinese, simplified"], ["zh-Hant", "Chinese, traditional"]] };

let current = null; // { job, name, file, abort }
let announced = "";
let retry = null;

const transcript = new Transcript(at("transcript"), (seconds) => player.seek(seconds), correct);
const player = new Player(at("player"), at("silent"), at("unplayable"), (seconds) => transcript.highlight(seconds));
const recent = new RecentJobs(at("recent"), at("jobs"), { open, failed: showError, deleted: close });

// Errors

function showError(error, again = null) {
  if (error.name === "AbortError") return;
  const wait = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
  const id = error.requestId ? ` (request ${error.requestId})` : "";
  const message = error instanceof ServiceError ? `${error.message}${wait}${id}` : "The service cannot be reached. Is it running?";
  at("alert").textContent = message;
  at("alert").hidden = false;
  retry = again;
  at("again").hidden = !(again && (!(error instanceof ServiceError) || [429, 503].includes(error.status)));
  if (error.status === 401 || error.status === 403) {
    at("access").open = true;
    at("key").focus();
  }
}

function hideError() {
  at("alert").hidden = true;
  at("again").hidden = true;
}

// Progress

function report(step, share) {
  const percent = share === null ? null : Math.round(share * 100);
  at("step").textContent = percent === null ? step : `${step}: ${percent} %`;
  if (percent === null) at("progress").removeAttribute("value");
  else at("progress").value = percent;
  const rounded = percent === null ? "" : `${Math.floor(percent / ANNOUNCEMENT_STEP) * ANNOUNCEMENT_STEP} %`;
  const announcement = `${step} ${rounded}`;
  if (announcement === announced) return;
  announced = announcement;
  at("live").textContent = announcement;
}

// One recording

function begin(name, file) {
  if (current?.job) current.abort.abort(); // an upload continues, and is listed when it is complete
  current = { job: null, name, file, abort: new AbortController() };
  hideError();
  transcript.edit(false);
  transcript.clear();
  at("edit").setAttribute("aria-pressed", "false");
  at("work").hidden = false;
  at("work-title").textContent = name;
  at("running").hidden = false;
  at("done").hidden = true;
  at("keys").hidden = true;
  at("no-speech").hidden = true;
  player.load(file);
  return current;
}

/** Hide the progress. If a button in it had the focus, the title gets it. */
function hideProgress() {
  const lost = at("running").contains(document.activeElement);
  at("running").hidden = true;
  if (lost) at("work-title").focus();
}

function close(job) {
  if (current?.job !== job) return;
  current.abort.abort();
  current = null;
  const lost = at("work").contains(document.activeElement);
  at("work").hidden = true;
  if (lost) at("file").focus();
}

async function start(file) {
  const work = begin(file.name, file);
  const fields = {
    async: "true",
    timestamp_granularity: "word",
    language: at("language").value,
    model: at("model").value,
    task: at("task").value,
  };
  report("Uploading", 0);
  try {
    work.job = await submit(file, fields, (share) => work === current && report("Uploading", share), work.abort.signal);
  } catch (error) {
    if (work === current) close(work.job);
    showError(error, () => start(file));
    return;
  }
  recent.add(work.job, file.name);
  if (work === current) await followJob(work);
}

function open(job, name) {
  followJob(Object.assign(begin(name, current?.job === job ? current.file : null), { job }));
  at("work").scrollIntoView();
}

/** Follow a job to its end. A retry does not upload the recording again: the service has it. */
async function followJob(work) {
  try {
    await watch(work);
  } catch (error) {
    if (work !== current) return; // the page shows another recording by now
    hideProgress();
    recent.missed(work.job, error);
    showError(error, () => open(work.job, work.name));
  }
}

async function watch(work) {
  report("Waiting", null);
  for await (const { event, data } of follow(work.job, work.abort.signal)) {
    if (work !== current) return;
    if (event === "segment") transcript.add(data);
    else if (event === "progress") report(data.status === "queued" ? "Waiting in the queue" : "Transcribing", data.status === "queued" ? null : data.progress / 100);
    else if (event === "completed") await finish(work);
    else stopped(event, data);
  }
}

function stopped(event, data) {
  hideProgress();
  at("live").textContent = event;
  recent.refresh();
  if (event === "failed") showError(new ServiceError(0, { message: data.detail ?? data.error }, null));
}

/** Show the final transcript, from which suspected hallucinations may have been dropped. */
async function finish(work) {
  const result = await askJson(`jobs/${work.job}/result?response_format=verbose_json`, { signal: work.abort.signal });
  if (work !== current) return;
  const corrected = corrections(work.job);
  transcript.show(
    result.segments.map((segment, index) =>
      index in corrected ? { ...segment, text: corrected[index], corrected: true } : segment,
    ),
  );
  hideProgress();
  at("done").hidden = false;
  at("keys").hidden = result.segments.length === 0;
  at("no-speech").hidden = result.segments.length > 0;
  const aboutFile = result.warnings.filter(({ code }) => code !== "suspected_hallucination");
  at("about-file").textContent = aboutFile.map(({ message }) => message).join(" ");
  at("about-file").hidden = aboutFile.length === 0;
  at("live").textContent = result.segments.length ? "Done" : "Done. This recording contains no speech.";
  note();
  recent.refresh();
}

// Corrections

function correct(index, text) {
  keepCorrection(current.job, index, text);
  note();
}

const isCorrected = () => transcript.segments.some((segment) => segment.corrected);

function note(text = "") {
  at("restore").hidden = !isCorrected();
  at("note").textContent = text || (isCorrected() ? "Includes your corrections. Available as SRT, WebVTT, text or JSON, without a subtitle layout." : "");
  for (const option of at("format").options) option.disabled = isCorrected() && !canRender(option.value);
  if (chosenFormat()?.disabled) at("format").value = "srt";
}

// Downloads

const chosenFormat = () => at("format").selectedOptions[0];

function layout() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(at("download"))) if (value) query.set(name, value);
  return "takesLayout" in chosenFormat().dataset ? query : new URLSearchParams();
}

async function download() {
  const { job, name } = current;
  const format = chosenFormat().value;
  const { ending } = chosenFormat().dataset;
  hideError();
  try {
    let content;
    if (isCorrected()) content = new Blob([render(transcript.segments, format)]);
    else {
      const query = layout();
      query.set("response_format", format);
      const response = await ask(`jobs/${job}/result?${query}`);
      const fast = Number(response.headers.get("X-Subtitle-Warnings") ?? 0);
      note(fast ? `${fast} cues are too fast to read.` : "");
      content = await response.blob();
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = nameOf(name, ending);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  } catch (error) {
    showError(error);
  }
}

// User actions

at("order").addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = at("file").files;
  if (file) start(file);
});
at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  if (file) at("chosen").textContent = `${file.name}, ${file.size < 1e6 ? `${Math.ceil(file.size / 1e3)} kB` : `${(file.size / 1e6).toFixed(1)} MB`}`;
});
for (const name of ["dragenter", "dragover"])
  at("drop").addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
// Otherwise a file that is dropped outside the frame would replace the page.
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
for (const name of ["dragleave", "drop"]) at("drop").addEventListener(name, () => at("drop").classList.remove("over"));
at("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  if (!event.dataTransfer.files.length) return;
  at("file").files = event.dataTransfer.files;
  at("file").dispatchEvent(new Event("change"));
});
at("cancel").addEventListener("click", async () => {
  const { job, abort } = current;
  abort.abort();
  hideProgress();
  at("live").textContent = "Cancelled";
  if (!job) return;
  try {
    await ask(`jobs/${job}`, { method: "DELETE" });
  } catch (error) {
    showError(error);
  }
  recent.refresh();
});
at("again").addEventListener("click", () => retry?.());
at("key").value = keptKey();
at("key").addEventListener("change", () => {
  keepKey(at("key").value.trim());
  hideError();
  fill();
});
at("listen").addEventListener("change", () => {
  const [file] = at("listen").files;
  if (file && current) {
    current.file = file;
    player.load(file);
  }
});
at("edit").addEventListener("click", () => {
  const editing = at("edit").getAttribute("aria-pressed") !== "true";
  at("edit").setAttribute("aria-pressed", String(editing));
  at("keys").hidden = editing;
  transcript.edit(editing);
  if (editing) at("transcript").querySelector("textarea")?.focus();
});
at("restore").addEventListener("click", () => {
  dropCorrections(current.job);
  at("edit").setAttribute("aria-pressed", "false");
  transcript.edit(false);
  finish(current).catch(showError);
});
at("download").addEventListener("submit", (event) => {
  event.preventDefault();
  download();
});
async function fill() {
  try {
    const { languages } = await askJson("languages");
    const { models } = await askJson("models");
    list(at("language"), languages.flatMap(({ code, name }) => [[code, name], ...(SCRIPTS[code] ?? [])]));
    list(at("model"), models.filter((model) => model.on_disk).map(({ name, size }) => [name, `${name} (${size})`]));
  } catch (error) {
    showError(error);
  }
}

function list(select, entries) {
  const [first] = select.options;
  select.replaceChildren(first, ...entries.map(([value, label]) => new Option(label, value)));
}

fill();
