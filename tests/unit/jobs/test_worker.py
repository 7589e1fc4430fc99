"""The worker on stored jobs: a real store, and a scripted runner in place of the model."""

import asyncio
import contextlib
from functools import partial

import pytest

from tests.support.media_files import noise, silent_movie, write_wav
from tests.support.scripted_runner import ScriptedRunner
from tests.unit.jobs.support import REQUEST, World
from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.errors import (
    InsufficientStorage,
    ModelUnavailable,
    NoAudioStream,
    RefusedWindow,
    ServiceUnavailable,
    TranscriptionError,
)
from transcription.core.transcript import PlacedResult, WindowResult
from transcription.jobs import attempt as attempt_module
from transcription.jobs import policy
from transcription.jobs import worker as worker_module
from transcription.jobs.attempt import Outcome, failure_of, outcome_of
from transcription.jobs.job import JobStatus
from transcription.jobs.store.sqlite.store import SqliteStore
from transcription.jobs.worker import Worker
from transcription.pipeline.request_key import computed_by
from transcription.pipeline.single_flight import SingleFlight
from transcription.pipeline.transcribe import Pipeline

WINDOWS = 4


class FragileRunner(ScriptedRunner):
    """Fails its first `failures` calls. absent: number of calls of `state` that it does not answer."""

    def __init__(self, error=None, failures=0, absent=0):
        super().__init__()
        self.error = error
        self.failures = failures
        self.absent = absent

    async def transcribe(self, window, options, ticket):
        if self.failures:
            self.failures -= 1
            raise self.error
        return await super().transcribe(window, options, ticket)

    async def state(self):
        if self.absent:
            self.absent -= 1
            raise ServiceUnavailable("restarting")
        return await super().state()


@pytest.fixture
def world(tmp_path, settings, monkeypatch):
    monkeypatch.setattr(policy, "FIRST_RETRY_DELAY", 0.01)
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(attempt_module, "WRITE_RETRY_SECONDS", 0.02)

    def make(runner, store=None, **changes):
        return World(tmp_path, settings.model_copy(update=changes), runner, store)

    return make


@pytest.fixture
def speech(tmp_path):
    return write_wav(tmp_path / "speech.wav", noise(50))


@pytest.fixture
def sentence(tmp_path):
    """A recording of one window."""
    return write_wav(tmp_path / "sentence.wav", noise(10))


def end_of(world, path):
    async def scenario():
        await world.submit(path)
        async with world.working():
            return await world.ended()

    return asyncio.run(scenario())


def test_a_job_is_completed(world, speech):
    runner = ScriptedRunner()
    job = end_of(world(runner), speech)
    assert (job.status, job.attempt, job.seconds_done) == (JobStatus.COMPLETED, 1, 50.0)
    assert len(runner.options) == WINDOWS


def test_a_heartbeat_that_goes_on_although_it_is_cancelled_holds_up_no_job(world, sentence, monkeypatch):
    async def renew(job):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(policy, "HEARTBEAT_SECONDS", 0.01)
    here = world(ScriptedRunner())
    here.store.renew = renew
    assert end_of(here, sentence).status is JobStatus.COMPLETED


def test_an_unreadable_recording_fails_at_the_first_attempt(world, tmp_path):
    silent_movie(tmp_path / "mute.mp4")
    job = end_of(world(ScriptedRunner()), tmp_path / "mute.mp4")
    assert (job.status, job.attempt, job.failure.code) == (JobStatus.FAILED, 1, "no_audio_stream")


def test_a_recording_that_crashes_the_runner_fails_at_the_first_attempt(world, speech):
    job = end_of(world(FragileRunner(RefusedWindow("it died twice"), failures=100)), speech)
    assert (job.attempt, job.failure.code, job.failure.message) == (1, "refused_recording", "it died twice")


@pytest.mark.parametrize("error", [ServiceUnavailable("gone", retry_after=0), ModelUnavailable("no"), KeyError("bug")])
def test_a_failure_of_the_service_is_retried(world, sentence, error):
    job = end_of(world(FragileRunner(error, failures=2), job_retries=3), sentence)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 3)


def test_retries_are_limited(world, speech):
    error = ServiceUnavailable("gone", retry_after=0)
    job = end_of(world(FragileRunner(error, failures=1000), job_retries=3), speech)
    assert (job.status, job.attempt, job.failure.message) == (JobStatus.FAILED, 4, "gone")


def test_a_job_waits_as_long_as_the_disk_is_full(world, sentence):
    error = InsufficientStorage("full", retry_after=0)
    job = end_of(world(FragileRunner(error, failures=5), job_retries=1), sentence)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 6)


def test_no_attempt_is_begun_while_the_runner_restarts(world, speech):
    job = end_of(world(FragileRunner(absent=5), job_retries=0), speech)
    assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)


def test_a_job_that_interrupts_process_after_process_fails(world, speech):
    job = end_of_interrupted(world(ScriptedRunner(), job_retries=3), speech, times=4)
    assert (job.status, job.failure.code) == (JobStatus.FAILED, "repeatedly_interrupted")


def test_a_job_that_exceeds_its_time_limit_fails_and_names_the_setting(world, speech):
    job = end_of(world(ScriptedRunner(pause=1000), job_timeout=1), speech)
    assert (job.status, job.attempt, job.failure.code) == (JobStatus.FAILED, 1, "job_took_too_long")
    assert "JOB_TIMEOUT" in job.failure.message


def test_a_worker_attempts_the_job_it_is_given(world, speech, tmp_path):
    async def scenario():
        here = world(ScriptedRunner())
        await here.submit(speech, "first")
        await here.submit(write_wav(tmp_path / "other.wav", noise(5)), "second")
        worker = Worker(here.store, here.recordings, here.single_flight, here.runner, here.settings)
        assert await worker.attempt(partial(here.store.claim, job_id="second"))
        assert not await worker.attempt(partial(here.store.claim, job_id="second"))
        assert not await worker.attempt(partial(here.store.claim, job_id="unknown"))
        return [(await here.store.get(name)).status for name in ("first", "second")]

    assert asyncio.run(scenario()) == [JobStatus.QUEUED, JobStatus.COMPLETED]


def test_a_stopped_attempt_returns_its_job_to_the_queue(world, speech):
    async def scenario():
        here = world(ScriptedRunner(pause=1000))
        await here.submit(speech)
        worker = Worker(here.store, here.recordings, here.single_flight, here.runner, here.settings)
        attempt = asyncio.create_task(worker.attempt(here.store.claim))
        while (await here.store.get("job")).status is not JobStatus.PROCESSING:
            await asyncio.sleep(0.01)
        await worker.stop()
        assert await attempt
        return await here.store.get("job")

    job = asyncio.run(scenario())
    assert (job.status, job.failures) == (JobStatus.QUEUED, 0)


@pytest.mark.parametrize("seconds", [0.0, 0.2], ids=["as its first step is due", "while it is claimed"])
def test_a_worker_stopped_while_it_begins_a_job_returns_it_to_the_queue(world, speech, monkeypatch, seconds):
    async def scenario():
        here = world(ScriptedRunner(pause=1000))
        await here.submit(speech)
        worker = Worker(here.store, here.recordings, here.single_flight, here.runner, here.settings)
        claim, stopped = here.store.claim, []

        async def claim_and_be_stopped(*arguments):
            job = await claim(*arguments)
            stopped.append(asyncio.create_task(worker.stop()))
            await asyncio.sleep(seconds)
            return job

        monkeypatch.setattr(here.store, "claim", claim_and_be_stopped)
        async with asyncio.timeout(30):
            await worker.attempt(here.store.claim)
            await stopped[0]
        return await here.store.get("job")

    job = asyncio.run(scenario())
    assert (job.status, job.failures) == (JobStatus.QUEUED, 0)


def end_of_interrupted(world, path, times):
    """The end of a job whose owners disappear one after another, `times` times."""

    async def scenario():
        clock = [0.0]
        world.store = SqliteStore(world.folder / "other", result_ttl=1e9, clock=lambda: clock[0])
        await world.submit(path)
        for number in range(times):
            assert await world.store.claim(f"owner {number}")
            clock[0] += 60
        async with world.working():
            return await world.ended()

    return asyncio.run(scenario())


def test_a_stopped_worker_returns_its_job_with_its_windows_and_counts_no_failure(world, speech):
    class Stuck(ScriptedRunner):
        async def transcribe(self, window, options, ticket):
            if window.timeline.start > 20:  # the third and the fourth
                await asyncio.sleep(1000)
            return await super().transcribe(window, options, ticket)

    slow = world(Stuck())

    async def scenario():
        await slow.submit(speech)
        async with slow.working():
            async with asyncio.timeout(30):
                while len(await slow.store.checkpoints("job")) < 2:
                    await asyncio.sleep(0.02)
        job = await slow.store.get("job")
        assert (job.status, job.failures) == (JobStatus.QUEUED, 0)
        rest = ScriptedRunner()
        slow.single_flight = SingleFlight(Pipeline(slow.settings, rest))
        async with slow.working():
            job = await slow.ended()
        assert len(rest.options) == WINDOWS - 2
        return job

    assert asyncio.run(scenario()).status is JobStatus.COMPLETED


def test_a_part_of_a_window_that_is_decoded_anew_is_stored_anew(world, speech):
    """An attempt may stop between the parts of a window that was divided where its language changes."""
    stopped = world(ScriptedRunner())

    async def scenario():
        await stopped.submit(speech)
        lease = await stopped.store.claim("before")
        engine = computed_by(REQUEST.decode.model, stopped.settings)
        part = PlacedResult(Timeline((Span(0, SAMPLE_RATE),)), WindowResult("fr", 0.9, ()), None, engine)
        await stopped.store.checkpoint(lease, 0, part, 50.0)
        await stopped.store.release(lease)
        async with stopped.working():
            await stopped.ended()
        return await stopped.store.checkpoints("job")

    stored = asyncio.run(scenario())
    assert len(stored) == WINDOWS
    assert {each.result.language for each in stored} == {"en"}


def test_an_abandoned_job_stays_cancelled(world, speech):
    stuck = world(ScriptedRunner(pause=1000))

    async def scenario():
        await stuck.submit(speech)
        async with stuck.working() as worker:
            async with asyncio.timeout(30):
                while not stuck.runner.running:
                    await asyncio.sleep(0.02)
            await stuck.store.cancel("job")
            worker.abandon("job")
            async with asyncio.timeout(30):
                while stuck.runner.running:
                    await asyncio.sleep(0.02)
        return await stuck.store.get("job")

    assert asyncio.run(scenario()).status is JobStatus.CANCELLED


def test_the_number_of_concurrent_jobs_is_limited(world, tmp_path):
    busy = world(ScriptedRunner(pause=1000), job_concurrency=2)

    async def scenario():
        for number in range(4):
            await busy.submit(write_wav(tmp_path / f"{number}.wav", noise(1)), str(number))
        async with busy.working():
            async with asyncio.timeout(30):
                while busy.runner.running < 2:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            return [(await busy.store.get(str(number))).status for number in range(4)]

    assert asyncio.run(scenario()) == [JobStatus.PROCESSING] * 2 + [JobStatus.QUEUED] * 2


class FullDisk(SqliteStore):
    """A store whose writes fail `failures` times, from the first checkpoint on."""

    failures = 5

    async def checkpoint(self, lease, position, placed, total):
        await self._fail_or(super().checkpoint(lease, position, placed, total))

    async def complete(self, lease, transcript):
        await self._fail_or(super().complete(lease, transcript))

    async def postpone(self, lease, delay):
        await self._fail_or(super().postpone(lease, delay))

    async def _fail_or(self, write):
        if self.failures:
            self.failures -= 1
            write.close()
            raise ServiceUnavailable("No space is left under JOBS_DIR.", retry_after=0)
        await write


def test_a_temporarily_full_disk_loses_nothing(world, speech, tmp_path):
    full = world(ScriptedRunner(), FullDisk(tmp_path / "jobs", result_ttl=1000), job_retries=3)
    job = end_of(full, speech)
    assert job.status is JobStatus.COMPLETED
    assert full.store.failures == 0


def test_an_unexpected_error_is_stored_with_a_remedy():
    failure = failure_of(KeyError("x"))
    assert failure.code == TranscriptionError.code
    assert "Retry" in failure.message


def test_only_failures_of_the_service_are_retried():
    assert outcome_of(NoAudioStream("no"), 0, 3) is Outcome.FAIL
    assert outcome_of(ServiceUnavailable("gone"), 2, 3) is Outcome.RETRY
    assert outcome_of(ServiceUnavailable("gone"), 3, 3) is Outcome.FAIL
