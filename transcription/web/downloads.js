// Copies and downloads of transcripts, rendered by the service unless it has no result.

import { ask } from "./api.js";
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
  return { content: await response.blob(), fast: Number(response.headers.get("X-Subtitle-Warnings") ?? 0) };
}

/** Subtitles of a job as WebVTT, in the chosen layout. */
export async function subtitles(job, layout) {
  const query = new URLSearchParams({ response_format: "vtt" });
  for (const [name, value] of new FormData(layout)) if (value) query.set(name, value);
  return (await ask(`jobs/${job}/result?${query}`)).blob();
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

/** Download the transcripts of many jobs, { id, name }, in one ZIP file. onProgress: called with how many are in it. */
export async function downloadAll(jobs, select, layout, onProgress) {
  const taken = new Map(); // number of files by name
  const files = [];
  for (const { id, name } of jobs) {
    const { content } = await rendered(id, select, layout);
    const number = (taken.get(name) ?? 0) + 1;
    taken.set(name, number);
    const stem = number === 1 ? name : nameOf(name, ` (${number}).x`);
    files.push({ name: nameOf(stem, optionOf(select).dataset.ending), input: content, lastModified: new Date() });
    onProgress(files.length);
  }
  give(await downloadZip(files).blob(), "transcripts.zip");
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
