// Client of the service's HTTP API.

const KEY = "api-key";
const RECONNECT_MS = [500, 1000, 2000, 4000, 8000];

// The service's own sentences are for programs: they name jobs by number, and settings.
const FOR_PEOPLE = {
  unknown_job: "The service no longer has this recording: it was deleted, or its time there is over.",
};

/** An error response of the service. retryAfter: seconds, or null. */
export class ServiceError extends Error {
  constructor(status, body, retryAfter) {
    super(FOR_PEOPLE[body?.error] ?? body?.message ?? `The service answered ${status}.`);
    this.status = status;
    this.requestId = body?.request_id ?? "";
    this.retryAfter = retryAfter;
  }
}

/** There is no response, or the connection was lost before its end. */
export class Unreachable extends Error {
  constructor() {
    super("The service cannot be reached. Is it running?");
  }
}

/** What a promise of a response, or of a body, is caught with. Throws AbortError as it is. */
export function unreachable(error) {
  throw error.name === "AbortError" ? error : new Unreachable();
}

/** When to try again, as a sentence after others; "" if it is not known. seconds: or null. */
export const whenToRetry = (seconds) => (seconds ? ` Try again in ${seconds} s.` : "");

export const keptKey = () => sessionStorage.getItem(KEY) ?? "";

export function keepKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

const headers = () => (keptKey() ? { "X-API-Key": keptKey() } : {});

function errorOf(status, text, retryAfter) {
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // not from the service, perhaps the page of a proxy
  }
  return new ServiceError(status, body, Number.parseInt(retryAfter ?? "", 10) || null);
}

/** Send a request. Throws ServiceError, Unreachable, AbortError. */
export async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } }).catch(unreachable);
  if (!response.ok) {
    const text = await response.text().catch(unreachable);
    throw errorOf(response.status, text, response.headers.get("Retry-After"));
  }
  return response;
}

export const askJson = async (path, options) => (await ask(path, options)).json().catch(unreachable);

/** Submit a recording as a job. onProgress: called with the share that has been sent, 0..1. Resolves to the id of the job. */
export function submit(file, fields, onProgress, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  form.append("file", file, file.name);
  // XMLHttpRequest, because fetch does not report upload progress.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "transcribe");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 202) resolve(JSON.parse(request.responseText).job_id);
      else reject(errorOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/** All events of a job: { event, data }. Reconnects if the connection is lost. */
export async function* follow(job, signal) {
  let last = "";
  let failures = 0;
  while (true) {
    try {
      const response = await ask(`jobs/${job}/events`, { signal, headers: last ? { "Last-Event-ID": last } : {} });
      for await (const event of parse(response.body)) {
        failures = 0;
        if (event.id) last = event.id;
        yield event;
        if (["completed", "failed", "cancelled"].includes(event.event)) return;
      }
    } catch (error) {
      const isTransient = !(error instanceof ServiceError) || error.status >= 500 || error.status === 429;
      if (signal.aborted || !isTransient || failures >= RECONNECT_MS.length) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS[Math.min(failures, RECONNECT_MS.length - 1)]));
    failures += 1;
  }
}

/** Parse server-sent events from a stream of bytes: the subset of the HTML standard that this service uses. */
export async function* parse(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (true) {
      const { done, value } = await reader.read().catch(unreachable);
      if (done) return;
      text += value;
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const event = { event: "message", id: "", data: "" };
        for (const line of block.split("\n")) {
          const colon = line.indexOf(":");
          const name = line.slice(0, colon);
          if (colon > 0) event[name] = line.slice(colon + 1).replace(/^ /, "");
        }
        if (event.data) yield { event: event.event, id: event.id, data: JSON.parse(event.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
