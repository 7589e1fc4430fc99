// The recording, played from the disk of whoever listens.

export class Player {
  #frame = 0;

  /** audio: the element that plays. missing: shown without a file. unplayable: shown when the browser cannot decode it. onTime: called with seconds. */
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

  /** Get ready to play a file; null takes the one before away. */
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

  // One chain of frames, however often somebody seeks.
  #follow() {
    cancelAnimationFrame(this.#frame);
    this.onTime(this.audio.currentTime);
    if (!this.audio.paused) this.#frame = requestAnimationFrame(() => this.#follow());
  }
}
