"""Speakers in the pipeline, with the real weights, and a scripted runner in place of Whisper."""

from __future__ import annotations

import asyncio
import threading
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import noise, read_samples, write_wav
from tests.support.scripted_runner import ScriptedRunner, as_test
from tests.unit.pipeline.conftest import EVERYTHING
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ModelUnavailable
from transcription.core.options import Channel, DecodeOptions, SoundOptions, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.speakers import SpeakerOptions
from transcription.diarization import diarizer
from transcription.diarization.kept import restored
from transcription.diarization.observations import observe
from transcription.media.intake.upload import Upload
from transcription.pipeline import diarize
from transcription.pipeline.assemble import Draft
from transcription.pipeline.transcribe import Pipeline

WINDOWS = 12  # that the models hear of a minute
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
    """Both speak twice."""
    return read_samples(CONVERSATION)[: 20 * SAMPLE_RATE]


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


def counting(patch):
    """The number of windows that the models have heard since."""
    counted = []

    def count(window, models):
        counted.append(window)
        return observe(window, models)

    patch.setattr(diarizer, "observe", count)
    return lambda: len(counted)


@pytest.fixture
def models_run(monkeypatch):
    return counting(monkeypatch)


class Patient(ScriptedRunner):
    """Answers its n-th window after the models of the speakers have heard 3 n of theirs, which are so many."""

    def __init__(self, models_run, theirs=WINDOWS):
        super().__init__()
        self._models_run, self._before = models_run, models_run()
        self._theirs = theirs
        self._windows = 0

    async def transcribe(self, window, options, ticket):
        self._windows += 1
        # One more has begun then. The last is heard at the end of the sound.
        wanted = min(3 * self._windows + 1, self._theirs - 1)
        while self._models_run() - self._before < wanted:
            await asyncio.sleep(0.01)
        return await super().transcribe(window, options, ticket)


@pytest.fixture(scope="module")
def interrupted(conversation, tmp_path_factory):
    """A minute of speech, the results of a run on it, and its transcript."""
    samples, seen = np.tile(conversation, 3), []
    folder = tmp_path_factory.mktemp("interrupted")
    path = write_wav(folder / "recording.wav", samples)
    upload = Upload(path, "0" * 64, path.stat().st_size, "", "")
    settings = Settings(temp_dir=folder, whisper_model_dir=folder / "models", whisper_model="demo")
    with pytest.MonkeyPatch.context() as patch:
        pipeline = Pipeline(settings, Patient(counting(patch)))
        run = pipeline.transcribe(upload, REQUEST, as_test, on_result=lambda item, _: seen.append(item))
        whole = asyncio.run(run)
    return samples, tuple(seen), replace(whole, processing_time=0)


def heard_by(results):
    """The windows whose speakers are in the results."""
    return len(restored(item.heard.partition(":")[2] for item in results if item.heard))


def test_a_resumed_run_goes_on_where_the_speakers_of_the_first_one_were_heard(told_apart, interrupted, models_run):
    samples, seen, whole = interrupted
    assert heard_by(seen[:1]) >= 3
    before, rest = models_run(), ScriptedRunner()
    resumed = told_apart(samples, rest, known=seen[:1])
    assert len(rest.options) == len(seen) - 1
    assert replace(resumed, processing_time=0) == whole
    assert models_run() - before == WINDOWS - heard_by(seen[:1])


def test_what_other_rules_or_weights_have_heard_is_heard_again(told_apart, interrupted, models_run):
    samples, seen, whole = interrupted
    before, known = models_run(), [replace(item, heard=f"other:{item.heard.partition(':')[2]}") for item in seen]
    assert replace(told_apart(samples, ScriptedRunner(), known=known), processing_time=0) == whole
    assert models_run() - before == WINDOWS


def test_a_run_that_was_resumed_can_be_resumed_again(told_apart, interrupted, models_run):
    samples, seen, whole = interrupted
    second = []
    left = Patient(models_run, WINDOWS - heard_by(seen[:1]))
    told_apart(samples, left, known=seen[:1], on_result=lambda item, _: second.append(item))
    assert second[0] == seen[0]
    assert heard_by(second) > heard_by(seen[:1])
    before = models_run()
    assert replace(told_apart(samples, ScriptedRunner(), known=second), processing_time=0) == whole
    assert models_run() - before == WINDOWS - heard_by(second)


def test_damaged_weights_fail_the_request_even_while_the_decoder_waits(told_apart, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(diarize, "MOST_WAITING", 1)
    (tmp_path / "models" / "diarization").mkdir(parents=True)
    damaged = settings.model_copy(update={"whisper_model_dir": tmp_path / "models"})
    with pytest.raises(ModelUnavailable, match="incomplete"):
        told_apart(noise(30), ScriptedRunner(), settings=damaged)


def test_a_decoder_that_is_far_ahead_waits(settings, monkeypatch):
    monkeypatch.setattr(diarize, "MOST_WAITING", 2)
    release = threading.Event()

    async def work():
        diarize._THREAD.submit(release.wait)  # as if it were busy with other recordings
        stage = diarize.SpeakerStage(SpeakerOptions(), settings.whisper_model_dir)
        for _ in range(2):
            await stage.feed(noise(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stage.feed(noise(1))
        release.set()
        await stage.feed(noise(1))
        found = await stage.turns(3.0)
        await stage.aclose()
        return found

    try:
        assert asyncio.run(work()).turns == ()
    finally:
        release.set()


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


@pytest.fixture
def split(settings, uploaded, tmp_path):
    """Transcribes noise in two channels of their own, of 95 and 70 s."""
    sound = np.zeros((95 * SAMPLE_RATE, 2), np.int16)
    sound[:, 0], sound[: 70 * SAMPLE_RATE, 1] = noise(95), noise(70)
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(sound.tobytes())

    def run(runner, **callbacks):
        request = replace(REQUEST, sound=SoundOptions(channel=Channel.SPLIT))
        work = Pipeline(settings, runner).transcribe(uploaded(tmp_path / "stereo.wav"), request, as_test, **callbacks)
        return asyncio.run(work)

    return run


def test_windows_of_both_channels_come_by_time(split):
    seen = []
    transcript = split(ScriptedRunner(), on_result=lambda item, _: seen.append((item.timeline.start, item.channel)))
    assert seen == sorted(seen)
    assert {channel for _, channel in seen} == {0, 1}
    assert transcript.duration == 95
    assert {segment.speaker for segment in transcript.segments} == {"P00", "P01"}


@pytest.mark.parametrize("done", [1, 2, 3, 5])
def test_a_resumed_run_of_both_channels_decodes_only_the_rest(split, done):
    seen, whole, rest = [], ScriptedRunner(), ScriptedRunner()
    expected = split(whole, on_result=lambda item, _: seen.append(item))
    resumed = split(rest, known=seen[:done])
    assert len(rest.options) == len(whole.options) - done
    assert replace(resumed, processing_time=0) == replace(expected, processing_time=0)


def test_a_draft_keeps_the_channels_apart(split):
    seen = []
    request = replace(REQUEST, sound=SoundOptions(channel=Channel.SPLIT))
    transcript = split(ScriptedRunner(), on_result=lambda item, _: seen.append(item))
    draft = Draft(request)
    told = [segment.text for item in seen for segment in draft.add(item)]
    assert sorted(told) == sorted(segment.text for segment in transcript.segments)
