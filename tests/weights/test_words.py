"""What the released models hear in recordings of people, through the door of the service."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from runners.models.catalogue import folder_of, is_complete
from tests.support.media_files import noise, run_ffmpeg, write_wav
from tests.support.service import ROOT, LocalService, connected, local_service
from transcription.core.settings import load_settings

pytestmark = pytest.mark.weights

SPEECH = ROOT / "tests" / "data" / "speech"
ALWAYS, SIGNS, ACCOUNT = (
    SPEECH / name for name in ("1462-170142-0014.mp3", "2412-153954-0011.mp3", "1688-142285-0003.flac")
)
SIGNS_TEXT = "I expressed by signs my admiration and pleasure to my guides, and they were greatly pleased."
MODELS = ("base", "tiny.en")
PAUSE = 2.0  # seconds
Hear = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """One service with the released weights for the whole file."""
    settings = load_settings()
    missing = [name for name in MODELS if not is_complete(folder_of(name, settings))]
    if missing:
        pytest.skip(f"WHISPER_MODEL_DIR lacks {' and '.join(missing)}: run `make test-extras`")
    environment = {
        "WHISPER_MODEL": "base",
        "WHISPER_MODEL_DIR": str(settings.whisper_model_dir),
        "WHISPER_LAYOUT": "throughput",  # not measured, and two threads a batch crawl on busy cores
    }
    with local_service(environment, tmp_path_factory.mktemp("weights") / "service.log") as running:
        yield running


@pytest.fixture(scope="module")
def client(service: LocalService) -> Iterator[httpx.Client]:
    with connected(service) as http:
        yield http


@pytest.fixture(scope="module")
def hear(client: httpx.Client) -> Hear:
    """The JSON of a recording; parameters as form fields."""

    def post(path: Path, **fields: str) -> dict[str, Any]:
        response = client.post("/transcribe", files={"file": (path.name, path.read_bytes())}, data=fields)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    return post


def words_of(text: str) -> list[str]:
    """Without punctuation and capitals, in which int8 differs from one kind of CPU to the next."""
    return re.findall(r"[\w']+", text.lower())


def joined(target: Path, *clips: Path) -> Path:
    """The clips one after the other, with PAUSE of silence after each."""
    inputs = [argument for clip in clips for argument in ("-i", str(clip))]
    parts = "".join(f"[{index}]aresample=16000,apad=pad_dur={PAUSE}[c{index}];" for index in range(len(clips)))
    names = "".join(f"[c{index}]" for index in range(len(clips)))
    run_ffmpeg(*inputs, "-filter_complex", f"{parts}{names}concat=n={len(clips)}:v=0:a=1", "-ac", "1", str(target))
    return target


@pytest.mark.parametrize(
    ("name", "language", "text"),
    [
        (SIGNS.name, "en", SIGNS_TEXT),
        (ACCOUNT.name, "en", "I really like that account of himself, better than anything else he said."),
        ("es.flac", "es", "las arenas son blanquecinas de grano medio y tiene muy poca asistencia"),
    ],
)
def test_every_word_and_the_language_are_right(hear: Hear, name: str, language: str, text: str) -> None:
    transcript = hear(SPEECH / name)
    assert (transcript["language"], words_of(transcript["text"])) == (language, words_of(text))


@pytest.mark.parametrize(
    ("name", "words"), [("de.flac", "Leichen"), ("fr.flac", "eaux et forêts"), ("zh.flac", "跨國")]
)
def test_the_language_is_detected_and_written(hear: Hear, name: str, words: str) -> None:
    transcript = hear(SPEECH / name)
    assert transcript["language"] == Path(name).stem
    assert words in transcript["text"]


def test_the_english_model_hears_every_word(hear: Hear) -> None:
    assert words_of(hear(ALWAYS, model="tiny.en")["text"]) == words_of("always, but it's worse now.")


def test_speech_is_translated_into_english(hear: Hear) -> None:
    text = hear(SPEECH / "es.flac", task="translate")["text"]
    assert "sand" in text and "white" in text and "arenas" not in text


def test_hotwords_set_the_spelling(hear: Hear) -> None:
    assert "Blanquecinas" in hear(SPEECH / "es.flac", hotwords="Blanquecinas")["text"]


def test_times_are_those_of_the_speech(hear: Hear, tmp_path: Path) -> None:
    transcript = hear(joined(tmp_path / "pause.wav", SIGNS, ALWAYS))

    segments = transcript["segments"]
    times = [time for segment in segments for time in (segment["start"], segment["end"])]
    second = 5.93 + PAUSE  # SIGNS is 5.93 s long
    assert transcript["text"].startswith(SIGNS_TEXT.rstrip("."))
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= transcript["duration"]
    assert times[0] < 0.5
    assert segments[-1]["text"].strip().lower().startswith("always")
    assert abs(segments[-1]["start"] - second) < 1.0


@pytest.mark.parametrize("loudness", [0.0, 300.0, 3000.0], ids=["silence", "noise", "loud-noise"])
def test_silence_and_noise_give_nothing(hear: Hear, tmp_path: Path, loudness: float) -> None:
    samples = noise(10, loudness) if loudness else np.zeros(160_000, np.int16)
    transcript = hear(write_wav(tmp_path / "nothing.wav", samples))
    assert (transcript["text"], transcript["segments"]) == ("", [])
