"""Speakers in the pipeline, with the real weights, and a scripted runner in place of Whisper."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.media_files import noise, read_samples, write_wav
from tests.support.scripted_runner import ScriptedRunner, as_test
from tests.unit.pipeline.conftest import EVERYTHING
from transcription.core.errors import ModelUnavailable
from transcription.core.options import DecodeOptions, TranscriptionRequest
from transcription.core.speakers import SpeakerOptions
from transcription.pipeline import diarize
from transcription.pipeline.transcribe import Pipeline

CONVERSATION = Path(__file__).parents[2] / "data" / "diarization" / "two-speakers.ogg"
REQUEST = TranscriptionRequest(
    DecodeOptions(model="demo", language="en"), EVERYTHING, speakers=SpeakerOptions(labels="P")
)


@pytest.fixture
def told_apart(settings, uploaded, tmp_path):
    """Transcribes samples with speakers."""

    def run(samples, runner, *, request=REQUEST, settings=settings, **callbacks):
        path = write_wav(tmp_path / "recording.wav", samples)
        return asyncio.run(Pipeline(settings, runner).transcribe(uploaded(path), request, as_test, **callbacks))

    return run


@pytest.fixture(scope="module")
def conversation():
    return read_samples(CONVERSATION)


def test_every_segment_has_a_speaker(told_apart, conversation):
    transcript = told_apart(conversation, ScriptedRunner())
    assert [speaker.label for speaker in transcript.speakers] == ["P00", "P01"]
    assert {segment.speaker for segment in transcript.segments} <= {"P00", "P01"}


def test_the_words_get_times_and_are_not_shown_unless_requested(told_apart, conversation):
    runner = ScriptedRunner()
    assert not told_apart(conversation, runner).word_timestamps
    assert all(options.word_timestamps for options in runner.options)


def test_the_labels_may_be_letters(told_apart, conversation):
    request = replace(REQUEST, speakers=SpeakerOptions(labels=""))
    transcript = told_apart(conversation, ScriptedRunner(), request=request)
    assert [speaker.label for speaker in transcript.speakers] == ["A", "B"]


def test_the_number_of_speakers_may_be_given(told_apart, conversation):
    request = replace(REQUEST, speakers=SpeakerOptions(num_speakers=1))
    assert len(told_apart(conversation, ScriptedRunner(), request=request).speakers) == 1


def test_noise_has_no_speakers(told_apart):
    assert told_apart(noise(3), ScriptedRunner()).speakers == ()


def test_a_resumed_run_hears_the_whole_recording_and_has_the_same_speakers(told_apart, conversation):
    seen = []
    whole = told_apart(conversation, ScriptedRunner(), on_result=lambda item, _: seen.append(item))
    rest = ScriptedRunner()
    resumed = told_apart(conversation, rest, known=seen[:1])
    assert len(rest.options) == len(seen) - 1
    assert replace(resumed, processing_time=0) == replace(whole, processing_time=0)


def test_damaged_weights_fail_the_request_even_while_the_decoder_waits(told_apart, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(diarize, "MOST_WAITING", 1)
    (tmp_path / "models" / "diarization").mkdir(parents=True)
    damaged = settings.model_copy(update={"whisper_model_dir": tmp_path / "models"})
    with pytest.raises(ModelUnavailable, match="incomplete"):
        told_apart(noise(30), ScriptedRunner(), settings=damaged)


def test_a_slow_model_holds_the_decoder_back(told_apart, conversation, monkeypatch):
    monkeypatch.setattr(diarize, "MOST_WAITING", 1)
    assert len(told_apart(conversation, ScriptedRunner()).speakers) == 2


def test_a_cancelled_run_stops_telling_speakers_apart(settings, uploaded, tmp_path, conversation):
    async def work():
        path = write_wav(tmp_path / "recording.wav", conversation)
        run = asyncio.create_task(
            Pipeline(settings, ScriptedRunner(pause=60)).transcribe(uploaded(path), REQUEST, as_test)
        )
        await asyncio.sleep(1)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(work()) == set()
