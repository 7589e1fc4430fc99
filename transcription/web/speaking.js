// The part of the page in which people speak.

import { hideError, showMessage } from "./alerts.js";
import { enable, hide } from "./focus.js";
import { Microphone } from "./microphone.js";
import { fields } from "./options.js";

const at = (id) => document.getElementById(id);

let microphone = null;
let isStarting = false;

function live() {
  const { language, model, task, hotwords } = fields();
  return Object.fromEntries(Object.entries({ language, model, task, hotwords }).filter(([, value]) => value));
}

function show(isSpeaking) {
  at("hold").textContent = "Pause";
  for (const id of ["speak", "hold", "stop", "level"]) at(id).hidden = false;
  if (isSpeaking) hide(at("speak"), at("stop"));
  else for (const id of ["hold", "stop", "level"]) hide(at(id), at("speak"));
}

function utterance() {
  const confirmed = document.createElement("span");
  const tentative = document.createElement("span");
  tentative.className = "tentative";
  const line = document.createElement("p");
  line.dir = "auto";
  line.append(confirmed, tentative);
  return { line, confirmed, tentative };
}

/** What one recording does to the page. The last text of an earlier one may come late, and goes to its own, hidden lines. */
function eventsOf(send) {
  const lines = document.createElement("div");
  at("spoken").replaceChildren(lines);
  let current = null;
  return {
    onText(confirmed, tentative) {
      if (!current) lines.append((current = utterance()).line);
      current.confirmed.append(confirmed);
      current.tentative.textContent = tentative;
    },
    onUtterance() {
      current?.tentative.replaceChildren();
      current = null;
    },
    onProblem: showMessage,
    onLevel(loudness) {
      at("level").value = loudness;
    },
    onStop(file) {
      microphone = null;
      show(false);
      if (file.size) send(file);
    },
  };
}

/** send: gets the recording when it has ended. */
export function start(send) {
  at("speak").addEventListener("click", async () => {
    if (isStarting) return;
    isStarting = true;
    enable(at("speak"), false);
    hideError();
    try {
      microphone = await Microphone.start(live(), eventsOf(send));
      show(true);
    } catch (error) {
      showMessage(error.message);
    } finally {
      isStarting = false;
      enable(at("speak"), true);
    }
  });
  at("hold").addEventListener("click", () => {
    if (microphone.isPaused) microphone.resume();
    else microphone.pause();
    at("hold").textContent = microphone.isPaused ? "Go on" : "Pause";
  });
  at("stop").addEventListener("click", () => microphone.stop());
  window.addEventListener("beforeunload", (event) => {
    if (microphone) event.preventDefault(); // the browser asks: what was recorded is nowhere else
  });
}
