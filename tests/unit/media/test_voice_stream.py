"""Silero on a stream hears what it hears in the whole recording."""

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from faster_whisper.vad import get_vad_model

from tests.support.media_files import SPOKEN
from transcription.core.audio import INT16_SCALE
from transcription.media.resample import Resampler
from transcription.media.voice_activity import CHUNK_SAMPLES
from transcription.media.voice_stream import VoiceStream

CHUNKS = 60


@pytest.fixture(scope="module")
def speech():
    samples = (decode_audio(str(SPOKEN), 16_000) * 32767).astype(np.int16)
    return samples[: CHUNKS * CHUNK_SAMPLES]


@pytest.mark.parametrize("at_once", [1, 3, CHUNKS])
def test_the_probabilities_are_those_of_the_whole_recording(speech, at_once):
    whole = get_vad_model()(speech.astype(np.float32) / INT16_SCALE).ravel()
    stream = VoiceStream()
    size = at_once * CHUNK_SAMPLES
    heard = [each for start in range(0, len(speech), size) for each in stream.listen(speech[start : start + size])]
    # Not the last chunk: faster-whisper takes its last samples for silence.
    np.testing.assert_allclose(heard[:-1], whole[:-1], atol=1e-4)


def test_nothing_is_heard_in_nothing():
    assert VoiceStream().listen(np.empty(0, np.int16)) == []


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
def test_pcm_of_other_rates_becomes_16_khz_piece_by_piece(rate):
    tone = (np.sin(np.arange(rate) * 2 * np.pi * 440 / rate) * 8000).astype(np.int16)
    resampler = Resampler(rate)
    pieces = [resampler.convert(tone[start : start + 1234]) for start in range(0, len(tone), 1234)]
    result = np.concatenate(pieces)
    assert 15_900 <= len(result) <= 16_000
    spectrum = np.abs(np.fft.rfft(result.astype(float)))
    assert abs(np.argmax(spectrum) * 16_000 / len(result) - 440) < 5
