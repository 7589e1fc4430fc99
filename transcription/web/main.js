// Wires the page together.

import { ServiceError, ask, askJson, follow, keepKey, keptKey, submit } from "./api.js";
import { canRender, nameOf, render } from "./formats.js";
import { RecentJobs, corrections, dropCorrections, keepCorrection } from "./jobs.js";
import { Player } from "./player.js";
import { Transcript } from "./transcript.js";

const at = (id) => document.getElementById(id);
const STEP_OF_ANNOUNCEMENTS = 10; // percent

let current = null; // { job, name, file, abort }
let announced = "";
let retry = null;

const transcript = new Transcript(at("transcript"), (seconds) => player.seek(seconds), correct);
const player = new Player(at("player"), at("silent"), at("unplayable"), (seconds) => transcript.light(seconds));
const recent = new RecentJobs(at("recent"), at("jobs"), { open, failed: complain, deleted: close });

// Errors

function complain(error, again = null) {
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

function calm() {
  at("alert").hidden = true;
  at("again").hidden = true;
}

// Progress

function report(step, share) {
  const percent = share === null ? null : Math.round(share * 100);
  at("step").textContent = percent === null ? step : `${step}: ${percent} %`;
  if (percent === null) at("progress").removeAttribute("value");
  else at("progress").value = percent;
  const rounded = percent === null ? "" : `${Math.floor(percent / STEP_OF_ANNOUNCEMENTS) * STEP_OF_ANNOUNCEMENTS} %`;
  const announcement = `${step} ${rounded}`;
  if (announcement === announced) return;
  announced = announcement;
  at("live").textContent = announcement;
}

// One recording

function begin(name, file) {
  if (current?.job) current.abort.abort(); // an upload goes on: it is listed when it has arrived
  current = { job: null, name, file, abort: new AbortController() };
  calm();
  transcript.edit(false);
  transcript.clear();
  at("edit").setAttribute("aria-pressed", "false");
  at("work").hidden = false;
  at("work-title").textContent = name;
  at("running").hidden = false;
  at("done").hidden = true;
  at("keys").hidden = true;
  at("nobody").hidden = true;
  player.load(file);
  return current;
}

/** The work is over; whoever had the focus on its button must not lose the place. */
function rest() {
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
    complain(error, () => start(file));
    return;
  }
  recent.add(work.job, file.name);
  if (work === current) await attend(work);
}

function open(job, name) {
  attend(Object.assign(begin(name, current?.job === job ? current.file : null), { job }));
  at("work").scrollIntoView();
}

/** See a job through. What fails from here on is asked again and not sent again: the service has the recording. */
async function attend(work) {
  try {
    await watch(work);
  } catch (error) {
    if (work !== current) return; // another recording has the page now
    rest();
    recent.missed(work.job, error);
    complain(error, () => open(work.job, work.name));
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
  rest();
  at("live").textContent = event;
  recent.refresh();
  if (event === "failed") complain(new ServiceError(0, { message: data.detail ?? data.error }, null));
}

/** Show what the job came to: the end may drop what nobody said. */
async function finish(work) {
  const result = await askJson(`jobs/${work.job}/result?response_format=verbose_json`, { signal: work.abort.signal });
  if (work !== current) return;
  const corrected = corrections(work.job);
  transcript.show(
    result.segments.map((segment, index) =>
      index in corrected ? { ...segment, text: corrected[index], corrected: true } : segment,
    ),
  );
  rest();
  at("done").hidden = false;
  at("keys").hidden = result.segments.length === 0;
  at("nobody").hidden = result.segments.length > 0;
  at("live").textContent = result.segments.length ? "Done" : "Done. Nobody speaks in this recording.";
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
  at("note").textContent = text || (isCorrected() ? "With your corrections, as SRT, WebVTT, text or JSON; the layout does not apply to them." : "");
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
  calm();
  try {
    let content;
    if (isCorrected()) content = new Blob([render(transcript.segments, format)]);
    else {
      const query = layout();
      query.set("response_format", format);
      const response = await ask(`jobs/${job}/result?${query}`);
      const fast = Number(response.headers.get("X-Subtitle-Warnings") ?? 0);
      note(fast ? `${fast} cues are fast to read.` : "");
      content = await response.blob();
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = nameOf(name, ending);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  } catch (error) {
    complain(error);
  }
}

// What people do

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
// A file that is dropped beside the frame would replace the page, and the work on it.
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
  rest();
  at("live").textContent = "Cancelled";
  if (!job) return;
  try {
    await ask(`jobs/${job}`, { method: "DELETE" });
  } catch (error) {
    complain(error);
  }
  recent.refresh();
});
at("again").addEventListener("click", () => retry?.());
at("key").value = keptKey();
at("key").addEventListener("change", () => {
  keepKey(at("key").value.trim());
  calm();
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
  finish(current).catch(complain);
});
at("download").addEventListener("submit", (event) => {
  event.preventDefault();
  download();
});
async function fill() {
  try {
    const { languages } = await askJson("languages");
    const { models } = await askJson("models");
    list(at("language"), languages.map(({ code, name }) => [code, name]));
    list(at("model"), models.filter((model) => model.on_disk).map(({ name, size }) => [name, `${name} (${size})`]));
  } catch (error) {
    complain(error);
  }
}

function list(select, entries) {
  const [first] = select.options;
  select.replaceChildren(first, ...entries.map(([value, label]) => new Option(label, value)));
}

fill();
