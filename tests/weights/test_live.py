"""Live sessions with released weights and real speech."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.evaluate.scoring import count_errors, units
from tests.support.live import Event, live_client
from tests.support.media_files import applause, read_samples
from tests.support.speech import ACCOUNT, SIGNS, Hear, joined
from transcription.core.audio import SAMPLE_RATE

pytestmark = pytest.mark.weights

GERMAN = SIGNS.parent / "de.flac"


def say(client: httpx.Client, samples: np.ndarray, **options: object) -> list[Event]:
    """The final events of a session that hears the samples."""
    with live_client(client) as live:
        assert live.start(**options)["type"] == "session"
        live.speak(samples.astype("<i2").tobytes())
        return live.finish()


def text_of(finals: list[Event]) -> str:
    return " ".join(final["text"] for final in finals)


def test_live_text_is_close_to_that_of_the_file(client: httpx.Client, hear: Hear, tmp_path: Path) -> None:
    recording = joined(tmp_path / "speech.wav", SIGNS, ACCOUNT, SIGNS, ACCOUNT, pause=0.1)
    offline = units(hear(recording, language="en")["text"], "en")
    live = units(text_of(say(client, read_samples(recording), language="en")), "en")
    assert count_errors(offline, live).total <= len(offline) * 0.1


def test_the_language_is_detected(client: httpx.Client) -> None:
    finals = say(client, read_samples(GERMAN))
    assert {final["language"] for final in finals if final["text"]} == {"de"}


@pytest.mark.parametrize("loudness", [300.0, 3000.0])
def test_applause_has_no_text(client: httpx.Client, loudness: float) -> None:
    assert text_of(say(client, applause(8, loudness), language="en")).strip() == ""


def test_noise_that_is_committed_has_no_text(client: httpx.Client) -> None:
    noise = np.random.default_rng(0).normal(0, 1000, 5 * SAMPLE_RATE).astype(np.int16)
    assert text_of(say(client, noise, language="en", turn_detection=None)).strip() == ""
