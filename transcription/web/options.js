// The options of a new recording.

import { askJson, keepKey, keptKey } from "./api.js";
import { hideError, showError } from "./alerts.js";

const at = (id) => document.getElementById(id);
const SCRIPTS = { zh: [["zh-Hans", "Chinese, simplified"], ["zh-Hant", "Chinese, traditional"]] };

/** The parameters of a submission. */
export function fields() {
  const speakers = at("speakers").value;
  return {
    async: "true",
    timestamp_granularity: "word",
    language: at("language").value,
    model: at("model").value,
    task: at("task").value,
    hotwords: at("hotwords").value.trim(),
    audio_track: at("track").value,
    channel: speakers === "channels" ? "split" : at("channel").value,
    diarize: speakers === "voices" ? "true" : "",
    num_speakers: speakers === "voices" ? at("count").value : "",
  };
}

function list(select, entries) {
  const [first] = select.options;
  select.replaceChildren(first, ...entries.map(([value, label]) => new Option(label, value)));
}

async function fill() {
  try {
    const { languages } = await askJson("languages");
    const { models } = await askJson("models");
    const names = languages.flatMap(({ code, name }) => [[code, name], ...(SCRIPTS[code] ?? [])]);
    list(at("language"), names.sort(([, one], [, other]) => one.localeCompare(other, "en")));
    list(at("model"), models.filter((model) => model.on_disk).map(({ name, size }) => [name, `${name} (${size})`]));
  } catch (error) {
    showError(error);
  }
}

/** Fill the lists with what the service has. onKey: called when another key was entered. */
export function start(onKey) {
  at("key").value = keptKey();
  at("key").addEventListener("change", () => {
    keepKey(at("key").value.trim());
    hideError();
    fill();
    onKey();
  });
  at("speakers").addEventListener("change", () => {
    at("count").parentElement.hidden = at("speakers").value !== "voices";
    at("channel").disabled = at("speakers").value === "channels";
  });
  fill();
}
