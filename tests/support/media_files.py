"""Real media files, made by the real ffmpeg."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from transcription.core.settings import Settings
from transcription.media.decode import find_ffmpeg

FFMPEG = str(find_ffmpeg(Settings()))
ROOT = Path(__file__).resolve().parents[2]
SPOKEN = ROOT / "samples" / "en-meeting.mp3"
RATE = 16_000

# Every container that the service accepts, with the codecs that are usual in it.
AUDIO_FORMATS = {
    "mp3": ("-c:a", "libmp3lame"),
    "wav": ("-c:a", "pcm_s16le"),
    "ogg": ("-c:a", "libvorbis"),
    "flac": ("-c:a", "flac"),
    "m4a": ("-c:a", "aac"),
    "aac": ("-c:a", "aac", "-f", "adts"),
    "wma": ("-c:a", "wmav2", "-f", "asf"),
}
VIDEO_FORMATS = {
    "mp4": ("-c:v", "mpeg4", "-c:a", "aac"),
    "webm": ("-c:v", "libvpx", "-c:a", "libopus"),
    "avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "mov": ("-c:v", "mpeg4", "-c:a", "aac"),
    "mkv": ("-c:v", "mpeg4", "-c:a", "flac"),
    "flv": ("-c:v", "flv1", "-c:a", "libmp3lame", "-ar", "22050"),
}
ALL_FORMATS = (*AUDIO_FORMATS, *VIDEO_FORMATS)
PICTURE = ("-f", "lavfi", "-i", "color=black:size=64x48:rate=5:duration=3")


def run_ffmpeg(*arguments: str) -> None:
    subprocess.run([FFMPEG, "-v", "error", "-y", *arguments], check=True, stdin=subprocess.DEVNULL)


def film(target: Path, sound: Path, seconds: int) -> Path:
    """A WebM video, as browsers show it, with this sound. seconds: at most."""
    picture = ("-f", "lavfi", "-i", f"testsrc=size=160x90:rate=5:duration={seconds}")
    run_ffmpeg(*picture, "-i", str(sound), "-c:v", "libvpx", "-c:a", "libopus", "-shortest", str(target))
    return target


def convert(source: Path, target: Path) -> Path:
    """`source` in the format that the extension of `target` names; video formats get a black picture."""
    extension = target.suffix[1:]
    if extension in VIDEO_FORMATS:
        run_ffmpeg(*PICTURE, "-i", str(source), "-shortest", *VIDEO_FORMATS[extension], str(target))
    else:
        run_ffmpeg("-i", str(source), *AUDIO_FORMATS[extension], str(target))
    return target


def silent_movie(target: Path) -> Path:
    """A video of one second without an audio stream."""
    run_ffmpeg(*PICTURE, "-t", "1", "-c:v", "mpeg4", str(target))
    return target


def write_flac(target: Path, samples: NDArray[np.int16]) -> Path:
    """16 kHz mono, which has to be decoded."""
    return convert(write_wav(target.with_suffix(".wav"), samples), target)


def write_wav(target: Path, samples: NDArray[np.int16]) -> Path:
    """16 kHz mono, which is read as it is."""
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return target


def noise(seconds: float, loudness: float = 300.0) -> NDArray[np.int16]:
    """Faint white noise without speech."""
    return np.random.default_rng(0).normal(0, loudness, int(seconds * RATE)).astype(np.int16)


def applause(seconds: float, loudness: float = 3000.0, claps: int = 150) -> NDArray[np.int16]:
    """Many hands that clap: short bursts of noise. loudness: root mean square. claps: a second."""
    random = np.random.default_rng(0)
    burst = int(0.08 * RATE)
    sound = np.zeros(int(seconds * RATE) + burst)
    for start in random.integers(0, len(sound) - burst, int(seconds * claps)):
        decay = random.uniform(0.002, 0.02) * RATE
        sound[start : start + burst] += random.normal(0, 1, burst) * np.exp(-np.arange(burst) / decay)
    return np.clip(sound / sound.std() * loudness, -32768, 32767).astype(np.int16)


def read_samples(path: Path) -> NDArray[np.int16]:
    """Any file as 16 kHz mono, decoded without our code."""
    command = [FFMPEG, "-v", "error", "-i", str(path), "-f", "s16le", "-ac", "1", "-ar", str(RATE), "pipe:1"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.int16)


def launchers() -> list[psutil.Process]:
    """The launcher that this very process started; none before the first file."""
    alive = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in alive if "transcription.media.sandbox.launcher" in child.cmdline()]


def media_children() -> list[psutil.Process]:
    """The probe and decoder processes that this very process had started, zombies included."""
    return [child for launcher in launchers() for child in launcher.children()]
