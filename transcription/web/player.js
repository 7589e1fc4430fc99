// Plays the recording from the user's disk.

export class Player {
  #frame = 0;

  /** audio: the audio element. missing: shown without a file. unplayable: shown if the browser cannot decode it. onTime: called with the position, seconds. */
  constructor(audio, missing, unplayable, onTime) {
    this.audio = audio;
    this.missing = missing;
    this.unplayable = unplayable;
    this.onTime = onTime;
    for (const name of ["play", "seeked"]) audio.addEventListener(name, () => this.#follow());
    audio.addEventListener("error", () => {
      audio.hidden = true;
      unplayable.hidden = false;
    });
  }

  get canSeek() {
    return !this.audio.hidden;
  }

  /** Load a file; null unloads the current one. */
  load(file) {
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    this.audio.hidden = !file;
    this.missing.hidden = Boolean(file);
    this.unplayable.hidden = true;
    if (file) this.audio.src = URL.createObjectURL(file);
    else this.audio.removeAttribute("src");
  }

  seek(seconds) {
    if (!this.canSeek) return;
    this.audio.currentTime = seconds;
    this.audio.play().catch(() => {});
  }

  // A single chain of animation frames, however often the user seeks.
  #follow() {
    cancelAnimationFrame(this.#frame);
    this.onTime(this.audio.currentTime);
    if (!this.audio.paused) this.#frame = requestAnimationFrame(() => this.#follow());
  }
}
