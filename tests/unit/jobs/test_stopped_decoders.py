"""Jobs whose decoder is stopped or crashes, or whose file breaks off: real decoders, a scripted model."""

import asyncio
import signal

import pytest

from tests.support.media_files import media_children, noise, write_flac
from tests.support.scripted_runner import ScriptedRunner
from tests.unit.jobs import test_worker
from transcription.jobs.job import JobStatus
from transcription.media import decoder_end

# Fixtures that these tests share with those of the worker.
world, speech = test_worker.world, test_worker.speech
PATIENCE = 120.0  # seconds; the limit of a failure
BYTES_PER_SECOND = 32_000  # of 16 kHz, 16 bit, mono


@pytest.fixture(autouse=True)
def retried_at_once(monkeypatch):
    monkeypatch.setattr(decoder_end, "STOP_RETRY_SECONDS", 0.0)


async def ended(world):
    """The job of a world at its end."""
    async with asyncio.timeout(PATIENCE):
        while not (job := await world.store.get("job")).finished:
            await asyncio.sleep(0.02)
    return job


def end_of(world, path):
    async def scenario():
        await world.submit(path)
        async with world.working():
            return await ended(world)

    return asyncio.run(scenario())


class StoppingRunner(ScriptedRunner):
    """Sends a signal to the decoder of the recording when it gets a window, `times` times."""

    def __init__(self, number, times):
        super().__init__()
        self.number = number
        self.times = times

    async def transcribe(self, window, options, ticket):
        if self.times:
            self.times -= 1
            media_children()[0].send_signal(self.number)
            await asyncio.sleep(1000)  # the decoder's end ends this call
        return await super().transcribe(window, options, ticket)


@pytest.fixture
def long_speech(tmp_path):
    """Longer than what is decoded ahead of the first window."""
    return write_flac(tmp_path / "long.flac", noise(200))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_whose_decoder_is_stopped_is_retried_and_has_the_whole_transcript(world, long_speech, number):
    async def scenario():
        here = world(StoppingRunner(number, times=1), job_retries=3)
        await here.submit(long_speech)
        async with here.working():
            job = await ended(here)
        return job, await here.store.result("job")

    job, transcript = asyncio.run(scenario())
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 2)
    assert transcript.duration == 200
    assert transcript.notices == ()


def test_a_job_whose_decoder_is_always_stopped_fails_as_unavailable_and_stores_no_result(world, long_speech):
    async def scenario():
        here = world(StoppingRunner(signal.SIGKILL, times=1000), job_retries=1)
        await here.submit(long_speech)
        async with here.working():
            job = await ended(here)
        return job, await here.store.cached("job")

    job, cached = asyncio.run(scenario())
    assert (job.status, job.attempt, job.failure.code) == (JobStatus.FAILED, 2, "service_unavailable")
    assert "stopped before the end" in job.failure.message
    assert cached is None


def test_a_job_on_which_the_decoder_crashes_twice_fails_with_a_code_of_its_own(world, long_speech):
    job = end_of(world(StoppingRunner(signal.SIGSEGV, times=1000), job_retries=3), long_speech)
    assert (job.status, job.attempt, job.failure.code) == (JobStatus.FAILED, 2, "decoder_failed")


def test_a_job_with_a_file_that_breaks_off_is_completed_and_says_so(world, speech, tmp_path):
    content = speech.read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])

    async def scenario():
        here = world(ScriptedRunner())
        await here.submit(tmp_path / "cut.wav")
        async with here.working():
            await ended(here)
        return await here.store.result("job")

    transcript = asyncio.run(scenario())
    assert [notice.code for notice in transcript.notices] == ["truncated_media"]
    assert transcript.duration == pytest.approx(len(content) / 2 / BYTES_PER_SECOND, abs=0.1)
