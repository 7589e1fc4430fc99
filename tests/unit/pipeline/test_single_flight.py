"""Identical requests share one run, and no window is decoded twice for a client that stays or returns in time."""

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transcription.core.audio import Span, Timeline
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Priority, Ticket, TranscriptionRequest, VadOptions
from transcription.core.transcript import PlacedResult, Segment, Transcript, WindowResult
from transcription.media.intake.upload import Upload
from transcription.pipeline.single_flight import MAX_RESUMABLE_RUNS, RESUMABLE_SECONDS, SingleFlight

REQUEST = TranscriptionRequest(DecodeOptions("demo"), VadOptions())
WINDOWS = 4
TICKET = Ticket("first")
FAILS = -1


def placed(position):
    segment = Segment(0.0, 1.0, f" {position}", (1,), -0.1, 1.0, 0.0, 0.0)
    return PlacedResult(Timeline((Span(position * 16_000, 16_000),)), WindowResult("en", 1.0, (segment,)))


@dataclass
class SteppedPipeline:
    """Decodes one window per step. decoded: positions of the windows, in the order of decoding."""

    decoded: list[int] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    files: list = field(default_factory=list)
    running: int = 0
    steps: asyncio.Queue = field(default_factory=asyncio.Queue)

    async def transcribe(self, upload, request, ticket, known=(), on_result=None):
        self.running += 1
        self.files.append(upload.opened)
        assert upload.reader().read() == b"audio"
        try:
            results = list(known)
            for item in results:
                on_result(item, WINDOWS)
            while len(results) < WINDOWS:
                self.tickets.append(ticket())
                if await self.steps.get() == FAILS:
                    raise ServiceUnavailable("the runner died")
                self.decoded.append(len(results))
                results.append(placed(len(results)))
                on_result(results[-1], WINDOWS)
            segments = tuple(segment for item in results for segment in item.result.segments)
            return Transcript("en", 1.0, WINDOWS, segments, "demo")
        finally:
            self.running -= 1


class World:
    """A single flight over a stepped pipeline, a file to send, and a clock."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "file"
        self.file.write_bytes(b"audio")
        self.pipeline = SteppedPipeline()
        self.now = 0.0
        self.single_flight = SingleFlight(self.pipeline, clock=lambda: self.now)

    @asynccontextmanager
    async def join(self, work="w", ticket=TICKET, known=(), resumable=True):
        with FileIO(self.file) as file:
            upload = Upload(self.file, "hash", 5, file=file)
            async with self.single_flight.join(work, upload, REQUEST, ticket, known, resumable) as subscriber:
                yield subscriber

    async def whole(self, **arguments):
        async with self.join(**arguments) as subscriber:
            return (await subscriber.transcript()).text

    async def decode(self, count=1):
        for _ in range(count):
            self.pipeline.steps.put_nowait(1)
        await settle()

    def left(self):
        return [file for file in self.pipeline.files if not file.closed]


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_single_request_gets_its_transcript_and_leaves_no_file(world):
    async def scenario():
        request = asyncio.create_task(world.whole())
        await settle()
        await world.decode(WINDOWS)
        assert await request == "0 1 2 3"

    asyncio.run(scenario())
    assert world.left() == []
    assert world.pipeline.running == 0


def test_only_identical_requests_share_a_run(world):
    async def scenario():
        async with world.join() as first, world.join() as second, world.join(work="other") as third:
            assert (first.joined, second.joined, third.joined) == (False, True, False)
            await settle()
            assert world.pipeline.running == 2

    asyncio.run(scenario())


def test_two_runs_with_one_request_id_are_scheduled_separately(world):
    async def scenario():
        async with world.join(), world.join(work="other"):
            await settle()
            first, second = world.pipeline.tickets[0], world.pipeline.tickets[-1]
            assert first.request_id == second.request_id
            assert first.owner != second.owner

    asyncio.run(scenario())


def test_a_late_subscriber_receives_every_window_from_the_first_on(world):
    async def scenario():
        async with world.join() as first:
            await settle()
            await world.decode(2)
            async with world.join() as second:
                listening = [asyncio.create_task(seen_by(subscriber)) for subscriber in (first, second)]
                await settle()
                await world.decode(2)
                assert await asyncio.gather(*listening) == [[placed(n) for n in range(WINDOWS)]] * 2

    asyncio.run(scenario())


async def seen_by(subscriber):
    return [item async for item, _ in subscriber.results()]


def test_a_run_continues_for_its_remaining_subscriber_after_the_first_file_is_gone(world):
    async def scenario():
        first = asyncio.create_task(world.whole())
        await settle()
        second = asyncio.create_task(world.whole())
        await settle()
        first.cancel()
        await settle()
        world.file.unlink()
        assert os.pread(world.pipeline.files[0].fileno(), 5, 0) == b"audio"
        await world.decode(WINDOWS)
        assert await second == "0 1 2 3"

    asyncio.run(scenario())
    assert world.left() == []


def test_a_run_is_cancelled_when_its_last_subscriber_leaves(world):
    async def scenario():
        async with world.join():
            await settle()
        assert world.pipeline.running == 0

    asyncio.run(scenario())
    assert world.left() == []


def test_a_client_that_returns_in_time_resumes_where_the_run_stopped(world):
    async def scenario(away):
        async with world.join():
            await settle()
            await world.decode(3)
        world.now += away
        request = asyncio.create_task(world.whole())
        await settle()
        await world.decode(WINDOWS)
        return await request

    assert asyncio.run(scenario(RESUMABLE_SECONDS - 1)) == "0 1 2 3"
    assert world.pipeline.decoded == [0, 1, 2, 3]


def test_a_client_that_returns_and_leaves_at_once_loses_nothing(world):
    async def scenario():
        async with world.join():
            await settle()
            await world.decode(3)
        async with world.join():
            pass
        request = asyncio.create_task(world.whole())
        await settle()
        await world.decode(WINDOWS)
        return await request

    assert asyncio.run(scenario()) == "0 1 2 3"
    assert world.pipeline.decoded == [0, 1, 2, 3]


def test_a_client_that_returns_too_late_starts_from_the_beginning(world):
    async def scenario():
        async with world.join():
            await settle()
            await world.decode(3)
        world.now += RESUMABLE_SECONDS + 1
        async with world.join():
            await settle()
            await world.decode(1)

    asyncio.run(scenario())
    assert world.pipeline.decoded == [0, 1, 2, 0]


def test_a_run_that_is_not_resumable_keeps_no_windows(world):
    async def scenario():
        for _ in range(2):
            async with world.join(resumable=False):
                await settle()
                await world.decode(1)

    asyncio.run(scenario())
    assert world.pipeline.decoded == [0, 0]


def test_the_number_of_resumable_runs_is_limited(world):
    async def scenario():
        for number in range(MAX_RESUMABLE_RUNS + 1):
            async with world.join(work=str(number)):
                await settle()
                await world.decode(1)
        for number in (0, MAX_RESUMABLE_RUNS):
            async with world.join(work=str(number)):
                await settle()
                await world.decode(1)

    asyncio.run(scenario())
    assert world.pipeline.decoded[-2:] == [0, 1]


def test_the_checkpoints_of_a_job_are_not_decoded_again(world):
    async def scenario():
        request = asyncio.create_task(world.whole(known=[placed(0), placed(1)]))
        await settle()
        await world.decode(2)
        return await request

    assert asyncio.run(scenario()) == "0 1 2 3"
    assert world.pipeline.decoded == [2, 3]


def test_a_window_has_the_highest_priority_of_all_subscribers(world):
    async def scenario():
        async with world.join(ticket=Ticket("job", Priority.BACKGROUND)):
            await settle()
            async with world.join():
                await world.decode(1)
            await world.decode(1)

    asyncio.run(scenario())
    assert [ticket.priority for ticket in world.pipeline.tickets] == [
        Priority.BACKGROUND,
        Priority.INTERACTIVE,
        Priority.BACKGROUND,
    ]
    assert {ticket.request_id for ticket in world.pipeline.tickets} == {"job"}


def test_a_failure_reaches_every_subscriber_and_the_next_request_resumes(world):
    async def scenario():
        requests = [asyncio.create_task(world.whole()) for _ in range(2)]
        await settle()
        await world.decode(2)
        world.pipeline.steps.put_nowait(FAILS)
        errors = await asyncio.gather(*requests, return_exceptions=True)
        assert [str(error) for error in errors] == ["the runner died"] * 2
        assert errors[0] is not errors[1]
        again = asyncio.create_task(world.whole())
        await settle()
        await world.decode(2)
        return await again

    assert asyncio.run(scenario()) == "0 1 2 3"
    assert world.pipeline.decoded == [0, 1, 2, 3]


def test_a_successful_run_keeps_no_windows(world):
    async def scenario():
        for _ in range(2):
            request = asyncio.create_task(world.whole())
            await settle()
            await world.decode(WINDOWS)
            await request

    asyncio.run(scenario())
    assert world.pipeline.decoded == [0, 1, 2, 3] * 2


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["come", "leave", "decode", "fail"]), max_size=25))
def test_in_any_order_of_joining_and_leaving_each_window_is_decoded_once(tmp_path, moves):
    """Once per success, that is. The last move is always a new request, so that the run is resumed to its end."""

    async def scenario():
        world = World(tmp_path)
        requests = []
        for move in [*moves, "come"]:
            if move == "come":
                requests.append(asyncio.create_task(world.whole()))
            elif move == "leave" and requests:
                requests.pop(0).cancel()
            elif world.pipeline.running and world.pipeline.steps.empty():
                world.pipeline.steps.put_nowait(FAILS if move == "fail" else 1)
            await settle()
        await world.decode(WINDOWS)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert answers[-1] == "0 1 2 3"
        assert all(answer == "0 1 2 3" or isinstance(answer, ServiceUnavailable) for answer in answers)
        rounds = [world.pipeline.decoded[n : n + WINDOWS] for n in range(0, len(world.pipeline.decoded), WINDOWS)]
        assert all(done == [0, 1, 2, 3] for done in rounds)
        assert world.pipeline.running == 0
        assert world.left() == []

    with suppress(FileNotFoundError):
        (tmp_path / "file").unlink()
    asyncio.run(scenario())
