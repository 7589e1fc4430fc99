"""Create the recordings in samples/: short synthetic speech in four languages and five formats.

The voice variants are held out from the training of the embedded checkpoint.
"""

from __future__ import annotations

import csv
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from models.training.speech import SAMPLE_RATE, Voice, synthesiser

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
LEAD_IN = 0.4  # seconds of silence at both ends
PAUSE = 1.2  # seconds between sentences


@dataclass(frozen=True, slots=True)
class Sample:
    """One recording. file: its extension selects the format."""

    file: str
    language: str
    voice: Voice
    sentences: tuple[str, ...]


ALL = (
    Sample("en-meeting.mp3", "en", Voice("en-us+linda", 150, 50, 50), ("the meeting starts at ten on monday",)),
    Sample("es-reunion.ogg", "es", Voice("es+m4", 145, 45, 50), ("la reunión empieza a las nueve el martes",)),
    Sample(
        "de-besprechung.flac", "de", Voice("de+f2", 140, 50, 50), ("die besprechung beginnt um acht uhr am freitag",)
    ),
    Sample("fr-reunion.wav", "fr", Voice("fr+Michael", 145, 40, 50), ("la réunion commence à trois heures demain",)),
    Sample(
        "en-day.m4a",
        "en",
        Voice("en-gb-x-rp+m4", 150, 45, 55),
        (
            "good morning anna how are you",
            "the train to london leaves on the seven of march",
            "please send the report to david before friday",
            "we need twelve blue boxes and four chairs",
            "thank you maria see you on tuesday",
        ),
    ),
)


def record(sample: Sample, folder: Path) -> None:
    """Synthesise one sample and write it in its format."""
    silence = np.zeros(int(LEAD_IN * SAMPLE_RATE), np.int16)
    parts = [silence]
    for sentence in sample.sentences:
        spoken = synthesiser().speak(sentence, sample.voice)
        if spoken is None:
            raise RuntimeError(f"espeak-ng produced no speech for: {sentence}")
        parts += [spoken.samples, np.zeros(int(PAUSE * SAMPLE_RATE), np.int16)]
    parts[-1] = silence
    raw = folder / f".{sample.file}.wav"
    with wave.open(str(raw), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.concatenate(parts).tobytes())
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-y",
        "-i",
        str(raw),
        "-bitexact",
        str(folder / sample.file),
    ]
    subprocess.run(command, check=True)
    raw.unlink()


def main() -> None:
    """Write all samples and their transcripts."""
    SAMPLES.mkdir(exist_ok=True)
    for sample in ALL:
        record(sample, SAMPLES)
    with (SAMPLES / "transcripts.tsv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("file", "language", "text"))
        writer.writerows((sample.file, sample.language, " ".join(sample.sentences)) for sample in ALL)


if __name__ == "__main__":
    main()
