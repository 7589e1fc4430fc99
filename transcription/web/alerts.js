// What went wrong, how far things are, and what is said to screen readers.

import { ServiceError, Unreachable, whenToRetry } from "./api.js";
import { hide } from "./focus.js";

const ANNOUNCEMENT_STEP = 10; // percent
const at = (id) => document.getElementById(id);

let retry = null;
let announced = "";

/** again: what the button "Try again" does, if that can help. */
export function showError(error, again = null) {
  if (error.name === "AbortError") return;
  const id = error.requestId ? ` (request ${error.requestId})` : "";
  const isOurs = error instanceof ServiceError;
  const isOfThisPage = !isOurs && !(error instanceof Unreachable);
  if (isOfThisPage) console.error(error);
  const message = isOfThisPage ? `This page has failed: ${error.message}. Reload it.` : error.message;
  at("alert").textContent = `${message}${whenToRetry(error.retryAfter)}${id}`;
  at("alert").hidden = false;
  retry = again;
  at("again").hidden = !(again && (!isOurs || [429, 503].includes(error.status)));
  if (error.status === 401 || error.status === 403) {
    at("access").open = true;
    at("key").focus();
  }
}

/** Show a sentence that is no answer of the service. */
export function showMessage(text) {
  at("alert").textContent = text;
  at("alert").hidden = false;
}

export function hideError() {
  at("alert").hidden = true;
  hide(at("again"), at("work-title"));
}

export function announce(text) {
  announced = text;
  at("live").textContent = text;
}

/** Show a step and its progress. share: 0..1, or null. more: such as the time that is left. */
export function report(step, share, more = "") {
  const percent = share === null ? null : Math.round(share * 100);
  at("step").textContent = [percent === null ? step : `${step}: ${percent} %`, more].filter(Boolean).join(", ");
  if (percent === null) at("progress").removeAttribute("value");
  else at("progress").value = percent;
  const rounded = percent === null ? "" : ` ${Math.floor(percent / ANNOUNCEMENT_STEP) * ANNOUNCEMENT_STEP} %`;
  if (`${step}${rounded}` !== announced) announce(`${step}${rounded}`);
}

at("again").addEventListener("click", () => retry?.());
