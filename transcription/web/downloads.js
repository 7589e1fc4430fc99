// Copies and downloads of transcripts, rendered by the service unless it has no result.

import { ask, unreachable } from "./api.js";
import { canRender, nameOf, render } from "./formats.js";
import { downloadZip } from "./vendor/client-zip.js";

const optionOf = (select) => select.selectedOptions[0];

/** Give the user a file. */
export function give(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** The result of a job. layout: the fields of a form, which apply to subtitles only. select: of the format. */
async function rendered(job, select, layout) {
  const query = new URLSearchParams({ response_format: select.value });
  if ("takesLayout" in optionOf(select).dataset) for (const [name, value] of new FormData(layout)) if (value) query.set(name, value);
  const response = await ask(`jobs/${job}/result?${query}`);
  return { content: await response.blob().catch(unreachable), fast: Number(response.headers.get("X-Subtitle-Warnings") ?? 0) };
}

/** Subtitles of a job as WebVTT, in the chosen layout. Throws the errors of `ask`. */
export async function subtitles(job, layout, signal) {
  const query = new URLSearchParams({ response_format: "vtt" });
  for (const [name, value] of new FormData(layout)) if (value) query.set(name, value);
  return (await ask(`jobs/${job}/result?${query}`, { signal })).blob().catch(unreachable);
}

/** Download the transcript of a job. Returns the number of cues that are too fast to read. */
export async function download({ job, name }, select, layout) {
  const { content, fast } = await rendered(job, select, layout);
  give(content, nameOf(name, optionOf(select).dataset.ending));
  return fast;
}

/** Download segments that the service has no result of. */
export const downloadPart = (segments, name, select) =>
  give(new Blob([render(segments, select.value)]), nameOf(name, optionOf(select).dataset.ending));

/** Offer only the formats that can be had. isWhole: whether the service has a result. */
export function offer(select, isWhole) {
  for (const option of select.options) option.disabled = !isWhole && !canRender(option.value);
  if (optionOf(select)?.disabled) select.value = "srt";
}

/** A name of a transcript that none of those taken so far is, also where case does not matter; takes it. */
export function nameBeside(taken, recording, ending) {
  const names = function* () {
    yield nameOf(recording, ending);
    yield recording + ending; // talk.wav beside talk.mp3
    for (let number = 2; ; number += 1) yield nameOf(recording, ` (${number})${ending}`);
  };
  for (const name of names()) {
    if (taken.has(name.toLowerCase())) continue;
    taken.add(name.toLowerCase());
    return name;
  }
}

/** Download the transcripts of many jobs, { id, name }, in one ZIP file, without those that the service does not have any more.
 * onProgress: called with how many are in it. onMissing: called with the id of a job that is not, and the error. */
export async function downloadAll(jobs, select, layout, onProgress, onMissing) {
  const taken = new Set();
  const files = [];
  for (const { id, name } of jobs) {
    try {
      const { content } = await rendered(id, select, layout);
      files.push({ name: nameBeside(taken, name, optionOf(select).dataset.ending), input: content, lastModified: new Date() });
    } catch (error) {
      if (error.status !== 404) throw error;
      onMissing(id, error);
    }
    onProgress(files.length);
  }
  if (files.length) give(await downloadZip(files).blob(), "transcripts.zip");
}

/** Copy text. Where the clipboard is closed to pages, as it is without HTTPS, the old way is tried. */
export async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
