// Speech from the microphone: its text while it is spoken (docs/LIVE.md), then a recording like any other.

import { askJson, keptKey, whenToRetry } from "./api.js";

// What browsers record, the best first, and what the service calls it; "" if it cannot read it while it grows.
const ENCODINGS = { "audio/webm;codecs=opus": "webm", "audio/ogg;codecs=opus": "ogg", "audio/mp4": "" };
const PIECE_MS = 250;
const KEEPALIVE_MS = 20_000; // the service ends a session that says nothing for a minute
const RESUME_MS = 30_000; // the service keeps a session whose connection was lost
const AGAIN_MS = 1000; // between attempts to resume it
const NOT_RESUMED = 4000; // code with which the page closes a connection that cannot resume it
const FRAME_BYTES = 1 << 19; // the service takes frames of twice as much
const REFUSALS = {
  NotAllowedError: "The browser does not let this page use the microphone. Allow it beside the address, and try again.",
  NotFoundError: "There is no microphone.",
  NotReadableError: "The microphone is in use, or cannot be read.",
};
const LOST = "There is no text while you speak now, but the recording goes on. It is transcribed when you stop.";

export class MicrophoneError extends Error {}

/** One recording. events: onText(confirmed, tentative), onUtterance(), onProblem(message), onLevel(0..1), onStop(file). */
export class Microphone {
  /** Ask for the microphone and begin. options: `language`, `model`, `task` and `hotwords`. Throws MicrophoneError. */
  static async start(options, events) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new MicrophoneError("Browsers lend the microphone to pages at https addresses and localhost only.");
    }
    let stream = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      return new Microphone(stream, options, events);
    } catch (error) {
      for (const track of stream?.getTracks() ?? []) track.stop();
      throw new MicrophoneError(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
  }

  #events;
  #stream;
  #recorder;
  #pieces = [];
  #socket = null;
  #heartbeat = 0;
  #reason = ""; // of the newest problem that the service told
  #session = null; // `session` and `token`, with which it is resumed
  #heard = 0; // the number of the newest event
  #lostAt = 0; // milliseconds; 0: the connection is as it should be
  #sound = new AudioContext();

  constructor(stream, options, events) {
    this.#events = events;
    this.#stream = stream;
    const type = Object.keys(ENCODINGS).find((each) => MediaRecorder.isTypeSupported(each));
    this.#recorder = new MediaRecorder(stream, { mimeType: type });
    this.#recorder.ondataavailable = ({ data }) => this.#add(data);
    this.#recorder.onstop = () => this.#ended();
    this.#connect({ type: "start", encoding: ENCODINGS[type], ...options });
    this.#measure();
  }

  get isPaused() {
    return this.#recorder.state === "paused";
  }

  pause() {
    this.#recorder.pause();
  }

  resume() {
    this.#recorder.resume();
  }

  stop() {
    if (this.#recorder.state === "inactive") this.#ended(); // the session has not begun yet
    else this.#recorder.stop();
  }

  #connect(start) {
    if (!start.encoding) {
      this.#events.onProblem(LOST);
      this.#record();
      return;
    }
    this.#open(start);
    this.#heartbeat = setInterval(() => this.#tell({ type: "keepalive" }), KEEPALIVE_MS);
  }

  /** Nothing is recorded before the session has begun, or cannot: its first bytes describe the rest. */
  #record() {
    if (this.#stream.active && this.#recorder.state === "inactive") this.#recorder.start(PIECE_MS);
  }

  /** hello: the message that starts or resumes the session. */
  #open(hello) {
    const address = new URL("live", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const key = keptKey();
    const socket = new WebSocket(address, ["transcription.live", ...(key ? [`api-key.${key}`] : [])]);
    this.#socket = socket;
    socket.onopen = () => {
      if (!this.#stream.active) {
        socket.close(1000);
        return;
      }
      socket.send(JSON.stringify(hello));
      this.#record();
    };
    socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    socket.onclose = ({ code }) => {
      if (code !== 1000 && this.#stream.active) this.#lost();
      this.#record();
    };
  }

  async #lost() {
    this.#lostAt ||= Date.now();
    if (this.#session && Date.now() - this.#lostAt < RESUME_MS) {
      const hello = { type: "resume", ...this.#session, after: this.#heard };
      setTimeout(() => this.#stream.active && this.#open(hello), AGAIN_MS);
      return;
    }
    // A browser does not tell why a connection was refused. A request that needs the same key does.
    if (!this.#session && !this.#reason) await askJson("models").catch((error) => (this.#reason = error.message));
    this.#events.onProblem([this.#reason, LOST].filter(Boolean).join(" "));
  }

  #tell(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #add(piece) {
    this.#pieces.push(piece);
    if (!this.#lostAt && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(piece);
  }

  #hear(event) {
    this.#heard = event.n ?? this.#heard;
    if (event.type === "session") this.#begun(event);
    else if (event.type === "partial") this.#events.onText(event.confirmed, event.tentative);
    else if (event.type === "final") this.#events.onUtterance();
    else if (event.type === "error") {
      this.#reason = event.message + whenToRetry(event.retry_after);
      if (this.#lostAt) this.#socket.close(NOT_RESUMED);
      else this.#events.onProblem(this.#reason);
    } else if (event.type === "finished") {
      if (this.#stream.active) this.#events.onProblem([this.#reason, LOST].filter(Boolean).join(" ")); // a limit
      this.#socket.close(1000);
    }
  }

  #begun({ session, token, resumed, received }) {
    this.#session = { session, token };
    if (!resumed) return;
    const rest = new Blob(this.#pieces).slice(received);
    for (let at = 0; at < rest.size; at += FRAME_BYTES) this.#socket.send(rest.slice(at, at + FRAME_BYTES));
    this.#lostAt = 0;
  }

  #ended() {
    this.#tell({ type: "finish" });
    clearInterval(this.#heartbeat);
    for (const track of this.#stream.getTracks()) track.stop();
    this.#sound.close();
    const type = this.#recorder.mimeType.split(";")[0];
    const at = new Date().toLocaleString("sv").replaceAll(":", "."); // 2026-11-27 17.40.00
    this.#events.onStop(new File(this.#pieces, `Recording ${at}.${type.split("/")[1]}`, { type }));
  }

  #measure() {
    const analyser = this.#sound.createAnalyser();
    this.#sound.createMediaStreamSource(this.#stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const look = () => {
      if (!this.#stream.active) return;
      analyser.getFloatTimeDomainData(samples);
      const loudest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
      this.#events.onLevel(this.isPaused ? 0 : loudest);
      requestAnimationFrame(look);
    };
    look();
  }
}
