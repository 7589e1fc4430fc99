"""What a container claims about its length refuses nothing: decoded sound is counted."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.media_files import AUDIO_FORMATS, SPOKEN, media_children, noise, run_ffmpeg, write_wav
from transcription.core.errors import AudioTooLong
from transcription.media import length
from transcription.media.length import checked_length
from transcription.media.probe import probe


@pytest.fixture
def limited(settings):
    """At most five seconds."""
    return settings.model_copy(update={"max_duration": 5})


@pytest.fixture
def media(limited, uploaded, tmp_path):
    """The probed media of a recording of three seconds, claimed to be as long as given."""

    def make(claim, seconds=3.0):
        path = write_wav(tmp_path / "a.wav", noise(seconds))
        return replace(asyncio.run(probe(uploaded(path), limited)), duration=claim)

    return make


def test_a_false_claim_of_too_many_seconds_is_corrected(limited, media):
    assert asyncio.run(checked_length(media(7200.0), limited)).duration == pytest.approx(3.0)


def test_a_true_claim_of_too_many_seconds_is_refused_before_the_model_works(limited, media):
    with pytest.raises(AudioTooLong, match="longer than 5 s"):
        asyncio.run(checked_length(media(8.0, seconds=8.0), limited))
    assert media_children() == []


@pytest.mark.parametrize("claim", [None, 0.0, 4.9])
def test_an_allowed_claim_is_not_checked(limited, media, monkeypatch, claim):
    monkeypatch.setattr(length, "decode", None)
    assert asyncio.run(checked_length(media(claim), limited)).duration == claim


def test_a_recording_that_starts_at_two_hours_is_as_long_as_its_sound(limited, uploaded, tmp_path):
    path = tmp_path / "off.webm"
    run_ffmpeg("-i", str(SPOKEN), "-c:a", "libopus", "-output_ts_offset", "7200", str(path))
    probed = asyncio.run(probe(uploaded(path), limited))
    assert probed.duration > 7200
    assert asyncio.run(checked_length(probed, limited)).duration == pytest.approx(3.1, abs=0.5)


@pytest.mark.parametrize("extension", AUDIO_FORMATS)
def test_the_probe_refuses_no_length(limited, uploaded, tmp_path, extension):
    path = tmp_path / f"long.{extension}"
    run_ffmpeg("-i", str(write_wav(tmp_path / "noise.wav", noise(8.0))), *AUDIO_FORMATS[extension], str(path))
    assert asyncio.run(probe(uploaded(path), limited)).size
