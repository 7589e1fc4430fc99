// Renders what there is of a transcript when the service has no result. The service renders all others.

import { between } from "./words.js";

const pad = (number, digits) => String(number).padStart(digits, "0");

/** 83.5 -> 00:01:23,500 */
export function clock(seconds, mark) {
  const ms = Math.round(seconds * 1000);
  const [h, m, s] = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1000) % 60];
  return `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}${mark}${pad(ms % 1000, 3)}`;
}

/** 83.5 -> 1:23, for display. */
export function shortClock(seconds) {
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${pad(m, 2)}:${pad(s, 2)}` : `${m}:${pad(s, 2)}`;
}

const spoken = (segments) => segments.filter((segment) => segment.text.trim());
const oneLine = (text) => text.trim().replace(/\s+/g, " ");
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Segments as cues that do not overlap and last at least 1 ms, by the rule of the service's formats/subtitles/cues.py. */
function cues(segments) {
  let before = 0; // ms
  return segments.map((segment) => {
    const start = Math.max(before, Math.round(segment.start * 1000));
    const end = Math.max(start + 1, Math.round(segment.end * 1000));
    before = end;
    return { start: start / 1000, end: end / 1000, text: oneLine(segment.text) };
  });
}

const joined = (texts) => texts.reduce((all, text) => all + between(all, text) + text, "");

/** A paragraph whenever another one speaks, as in the service's format. */
function paragraphs(segments) {
  const turns = [];
  for (const { speaker, text } of segments) {
    if (turns.length && turns.at(-1).speaker === speaker) turns.at(-1).texts.push(oneLine(text));
    else turns.push({ speaker, texts: [oneLine(text)] });
  }
  return turns.map(({ speaker, texts }) => (speaker ? `${speaker}: ` : "") + joined(texts)).join("\n\n");
}

const RENDERERS = {
  srt: (segments) =>
    cues(segments)
      .map((s, i) => `${i + 1}\n${clock(s.start, ",")} --> ${clock(s.end, ",")}\n${s.text.replace(/-+>/g, "->")}\n`)
      .join("\n"),
  vtt: (segments) =>
    ["WEBVTT\n", ...cues(segments).map((s) => `${clock(s.start, ".")} --> ${clock(s.end, ".")}\n${escaped(s.text)}\n`)].join("\n"),
  text: (segments) => `${paragraphs(segments)}\n`,
  json: (segments) =>
    JSON.stringify({
      text: joined(segments.map((s) => oneLine(s.text))),
      segments: segments.map((s, id) => ({ id, start: s.start, end: s.end, text: oneLine(s.text) })),
    }),
};

export const canRender = (format) => format in RENDERERS;

/** segments: { start, end, text, speaker }, seconds. */
export const render = (segments, format) => RENDERERS[format](spoken(segments));

/** The file name of a download. ending: with its leading dot. */
export const nameOf = (recording, ending) => `${recording.replace(/\.[^.]*$/, "")}${ending}`;
