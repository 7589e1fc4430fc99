// Plays the recording, with live subtitles on video, and keys that also work while typing.

const STEP = 5; // seconds
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

export class Player {
  #frame = 0;
  #track = null;

  /** media: the video element. missing: shown without a file. unplayable: shown if the browser cannot decode it. speed: a select. onTime: called with the position, seconds. */
  constructor({ media, missing, unplayable, speed }, onTime) {
    Object.assign(this, { media, missing, unplayable, speed, onTime });
    for (const name of ["play", "seeked"]) media.addEventListener(name, () => this.#follow());
    media.addEventListener("loadedmetadata", () => media.classList.toggle("sound-only", media.videoHeight === 0));
    media.addEventListener("error", () => {
      if (!media.src) return;
      media.hidden = true;
      unplayable.hidden = false;
    });
    speed.replaceChildren(...SPEEDS.map((each) => new Option(`${each} ×`, each)));
    speed.value = 1;
    speed.addEventListener("change", () => this.#setSpeed(Number(speed.value)));
    window.addEventListener("keydown", (event) => this.#key(event));
  }

  get canSeek() {
    return !this.media.hidden;
  }

  get hasPictures() {
    return this.canSeek && this.media.videoHeight > 0;
  }

  /** Load a file; null unloads the current one. */
  load(file) {
    if (this.media.src) URL.revokeObjectURL(this.media.src);
    this.subtitles(null);
    this.media.classList.add("sound-only");
    this.media.hidden = !file;
    this.missing.hidden = Boolean(file);
    this.unplayable.hidden = true;
    if (file) this.media.src = URL.createObjectURL(file);
    else this.media.removeAttribute("src");
    this.#setSpeed(Number(this.speed.value));
  }

  /** Show subtitles on the pictures. content: a WebVTT file, or null. */
  subtitles(content) {
    if (this.#track) {
      URL.revokeObjectURL(this.#track.src);
      this.#track.remove();
    }
    this.#track = null;
    if (!content) return;
    this.#track = document.createElement("track");
    Object.assign(this.#track, { kind: "subtitles", label: "Transcript", default: true, src: URL.createObjectURL(content) });
    this.media.append(this.#track);
    this.#track.track.mode = "showing";
  }

  seek(seconds, plays = true) {
    if (!this.canSeek) return;
    this.media.currentTime = seconds;
    if (plays) this.media.play().catch(() => {});
  }

  // Alt and the keys of the big video pages; event.code, because with Alt some keyboards write other letters.
  #key(event) {
    if (!event.altKey || event.ctrlKey || event.metaKey || !this.canSeek) return;
    const { media } = this;
    const act = {
      KeyK: () => (media.paused ? media.play().catch(() => {}) : media.pause()),
      KeyJ: () => this.seek(Math.max(0, media.currentTime - STEP), false),
      KeyL: () => this.seek(Math.min(media.duration || 0, media.currentTime + STEP), false),
      Comma: () => this.#faster(-1),
      Period: () => this.#faster(1),
    }[event.code];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #faster(steps) {
    const place = SPEEDS.indexOf(Number(this.speed.value)) + steps;
    if (SPEEDS[place]) this.#setSpeed(SPEEDS[place]);
  }

  #setSpeed(speed) {
    this.speed.value = speed;
    this.media.defaultPlaybackRate = speed; // of the next file
    this.media.playbackRate = speed;
  }

  // A single chain of animation frames, however often the user seeks.
  #follow() {
    cancelAnimationFrame(this.#frame);
    this.onTime(this.media.currentTime);
    if (!this.media.paused) this.#frame = requestAnimationFrame(() => this.#follow());
  }
}
