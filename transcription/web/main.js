// Connects the parts of the page.

import { askJson } from "./api.js";
import { hideError, showError } from "./alerts.js";
import { Correcting } from "./correcting.js";
import { downloadAll } from "./downloads.js";
import { MAX_ALL_BYTES, MAX_FILE_BYTES, keepFile } from "./kept.js";
import { RecordingList } from "./list.js";
import { fields, start as startOptions } from "./options.js";
import { Picker } from "./picker.js";
import { Player } from "./player.js";
import { Recordings } from "./recordings.js";
import { start as startSpeaking } from "./speaking.js";
import { Transcript } from "./transcript.js";
import { Uploads } from "./uploads.js";
import { Waveform } from "./waveform.js";
import { Work } from "./work.js";

const at = (id) => document.getElementById(id);

const playerParts = { media: at("player"), missing: at("silent"), unplayable: at("unplayable"), speed: at("speed") };
const player = new Player(playerParts, (seconds) => transcript.highlight(seconds));
const waveform = new Waveform({ box: at("waveform"), picture: at("wave"), strip: at("strip") }, at("player"), (seconds) => player.seek(seconds));
const transcript = new Transcript(at("transcript"), (word) => {
  if (!correcting.choose(word)) player.seek(word.start);
  else player.seek(word.start, false);
});
const correcting = new Correcting(transcript, (segments, speakers) => work.speech(segments, speakers), () => work.saved());

const uploads = new Uploads(changed, (job, { name, file }) => {
  recordings.add(job, name);
  keepFile(job, file);
});
const recordings = new Recordings(changed, (id) => list.isShown(id) || id === work.current?.job);
const work = new Work({ transcript, player, waveform, correcting, recordings, cancelUpload: (upload) => cancel({ upload }) });
const listParts = {
  section: at("recent"),
  list: at("jobs"),
  search: at("search"),
  count: at("none-found"),
  pager: at("pager"),
  older: at("older"),
  newer: at("newer"),
  place: at("place"),
  all: at("all"),
  home: at("file"),
};
const list = new RecordingList(listParts, uploads, recordings, { Open: open, Cancel: cancel, Retry: retry, Delete: remove });

function changed() {
  list.show();
  work.progress();
}

// Actions on one recording of the list

async function open({ id, name }) {
  try {
    await work.open(id, name);
  } catch (error) {
    showError(error);
  }
}

async function cancel({ id, upload }) {
  try {
    if (!upload) await recordings.cancel(id);
    else {
      if (work.current?.upload === upload) work.close(null);
      uploads.cancel(upload);
    }
  } catch (error) {
    showError(error);
  }
}

async function retry({ id, name, upload }) {
  try {
    if (upload) {
      uploads.retry(upload);
      return;
    }
    await recordings.retry(id);
    await work.open(id, name);
  } catch (error) {
    showError(error);
  }
}

async function remove({ id }) {
  try {
    work.close(id); // first: what it keeps of an open recording is deleted, too
    await recordings.delete(id);
  } catch (error) {
    showError(error);
  }
}

// New recordings

async function send(file) {
  try {
    await work.send(uploads.add(file, fields(), false));
  } catch (error) {
    if (error.name === "AbortError") return;
    const failed = uploads.all.find((upload) => upload.file === file);
    showError(error, () => {
      if (failed) uploads.cancel(failed);
      send(file);
    });
  }
}

const picker = new Picker({ file: at("file"), folder: at("folder"), drop: at("drop"), summary: at("chosen") });
at("order").addEventListener("submit", (event) => {
  event.preventDefault();
  const files = picker.take();
  hideError();
  if (files.length === 1) send(files[0]);
  else if (files.length) {
    for (const file of files) uploads.add(file, fields(), true);
    at("recent").scrollIntoView();
  }
});

at("all").addEventListener("submit", async (event) => {
  event.preventDefault();
  hideError();
  try {
    await recordings.refresh(list.found.map(({ id }) => id).filter((id) => !id.startsWith("upload-")));
    const completed = list.found.filter(({ status }) => status === "completed");
    const note = (count) => {
      at("all-note").textContent = `${count} of ${completed.length}`;
    };
    await downloadAll(completed, at("all-format"), at("download"), note, (id, error) => recordings.missed(id, error));
  } catch (error) {
    showError(error);
  }
});

// A link opens its job, which may be one of another browser.
async function openLink() {
  const id = new URLSearchParams(location.hash.slice(1)).get("job") ?? "";
  if (!/^[\w-]+$/.test(id) || id === work.current?.job) return; // it becomes a part of addresses
  try {
    if (!recordings.nameOf(id)) {
      await askJson(`status/${id}?include=none`);
      recordings.add(id, `Recording ${id.slice(0, 8)}`);
    }
    await open({ id, name: recordings.nameOf(id) });
  } catch (error) {
    showError(error);
  }
}

window.addEventListener("hashchange", openLink);
window.addEventListener("beforeunload", (event) => {
  if (uploads.all.some(({ status }) => status !== "not sent")) event.preventDefault(); // the browser asks
});
at("kept").textContent = `For listening, this browser keeps recordings of up to ${MAX_FILE_BYTES / 1e6} MB, ${MAX_ALL_BYTES / 1e9} GB together; the oldest go first.`;
startOptions(() => {
  recordings.refresh();
  openLink();
});
startSpeaking(send);
list.show();
recordings.poll();
openLink();
