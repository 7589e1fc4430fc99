// The waveform of the recording, and below it who speaks when. Both can be clicked.

import { colourOf } from "./speakers.js";
import WaveSurfer from "./vendor/wavesurfer.js";

const HEIGHT = 56; // pixels
const SAMPLE_RATE = 8000; // enough for a picture
const POINTS = 4000; // of the picture
const MAX_BYTES = 100e6; // the browser decodes the whole recording in memory
const MAX_SECONDS = 3 * 3600;

export class Waveform {
  #surfer = null;
  #wanted = null;

  /** box: holds both. picture: of the waveform. strip: of the speech. media: the element that plays. */
  constructor({ box, picture, strip }, media, onSeek) {
    Object.assign(this, { box, picture, strip, media });
    strip.addEventListener("click", (event) => {
      const { left, width } = strip.getBoundingClientRect();
      if (media.duration) onSeek(((event.clientX - left) / width) * media.duration);
    });
  }

  /** Draw a recording, if it is not too long. */
  async load(file) {
    this.clear();
    this.#wanted = file;
    if (!file || file.size > MAX_BYTES) return;
    const context = new OfflineAudioContext(1, 1, SAMPLE_RATE);
    const decode = async () => context.decodeAudioData(await file.arrayBuffer());
    const buffer = await decode().catch(() => null); // not every recording can be decoded by this browser
    if (!buffer || this.#wanted !== file || buffer.duration > MAX_SECONDS) return;
    this.box.hidden = this.picture.hidden = false;
    const style = getComputedStyle(this.box);
    this.#surfer = WaveSurfer.create({
      container: this.picture,
      media: this.media,
      height: HEIGHT,
      peaks: [peaksOf(buffer)],
      duration: buffer.duration,
      normalize: true,
      hideScrollbar: true,
      waveColor: style.getPropertyValue("--quiet"),
      progressColor: style.getPropertyValue("--accent"),
      cursorColor: style.getPropertyValue("--ink"),
    });
  }

  clear() {
    this.#wanted = null;
    this.#surfer?.destroy();
    this.#surfer = null;
    this.box.hidden = this.picture.hidden = true;
    this.strip.replaceChildren();
  }

  /** Show when there is speech. duration: of the recording, seconds. */
  speech(segments, speakers, duration) {
    if (segments.length) this.box.hidden = false;
    this.strip.replaceChildren(
      ...segments.map(({ start, end, speaker }) => {
        const mark = document.createElement("span");
        mark.className = colourOf(speaker, speakers);
        mark.style.left = `${(100 * start) / duration}%`;
        mark.style.width = `${(100 * (end - start)) / duration}%`;
        return mark;
      }),
    );
  }
}

/** The loudest sample of each of POINTS stretches. */
function peaksOf(buffer) {
  const samples = buffer.getChannelData(0);
  const step = Math.max(1, Math.ceil(samples.length / POINTS));
  const peaks = new Float32Array(Math.ceil(samples.length / step));
  for (let index = 0; index < samples.length; index += 1) {
    const loudness = Math.abs(samples[index]);
    const place = Math.floor(index / step);
    if (loudness > peaks[place]) peaks[place] = loudness;
  }
  return peaks;
}
