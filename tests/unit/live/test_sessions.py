"""What sessions may take, of audio and of memory, and what they give back."""

import asyncio
import gc
import tracemalloc

import pytest

from tests.unit.live.support import Model, all_of, live, of, options, play, speech
from transcription.core.errors import AudioTooLong, ServiceUnavailable, TooManyLiveMinutes, TooManyStreams
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient
from transcription.live.events import Final
from transcription.live.session import LiveSession
from transcription.live.sessions import LiveSessions

SESSIONS = 3
MOST_BYTES = 5_000_000  # of a session
CLOSED_BYTES = 200_000  # of one that is closed and kept for its text
LEFT_BYTES = 10_000  # of one that is closed: less than a second of its audio


@pytest.mark.parametrize("refusal", [TooManyLiveMinutes("Too much."), None])
def test_beyond_its_allowance_a_session_gives_the_text_so_far_and_then_says_why_it_has_ended(refusal):
    class Meter:
        seconds = 0

        async def take(self, client, seconds):
            self.seconds += seconds
            if refusal and self.seconds > 3:
                raise refusal

    async def speaks():
        clock = asyncio.get_running_loop().time
        settings = Settings(max_duration=60 if refusal else 3)
        session = await LiveSessions(Model(), settings, clock, Meter()).open(options(), LiveClient("ann"), "request")
        await play(session, speech(8))
        events = []
        with pytest.raises(TooManyLiveMinutes if refusal else AudioTooLong):
            async for event in session.events():
                events += [event]
        await session.aclose()
        return events

    assert of(Final, live(speaks()))[-1].text.split() == ["0", "1", "2"]


def test_a_client_without_minutes_gets_no_session():
    class Meter:
        async def take(self, client, seconds):
            raise TooManyLiveMinutes("Too much.", retry_after=7.0)

    async def opens():
        door = LiveSessions(Model(), Settings(), meter=Meter())
        with pytest.raises(TooManyLiveMinutes):
            await door.open(options(), LiveClient("ann"), "request")
        return len(door)

    assert live(opens()) == 0


def test_a_session_that_is_refused_costs_no_minutes():
    class SlowMeter:
        seconds = 0

        async def take(self, client, seconds):
            self.seconds += seconds
            await asyncio.sleep(1)

    async def opens(count):
        meter = SlowMeter()
        door = LiveSessions(Model(), Settings(max_client_live_sessions=1), meter=meter)
        opened = (door.open(options(), LiveClient("ann"), "request") for _ in range(count))
        outcomes = await asyncio.gather(*opened, return_exceptions=True)
        await door.aclose()
        return meter.seconds, [type(outcome) for outcome in outcomes]

    assert live(opens(2)) == (1, [LiveSession, TooManyStreams])


def test_at_its_limit_a_clients_session_that_has_been_disconnected_for_longest_gives_way():
    async def opens():
        door = LiveSessions(Model(), Settings(max_client_live_sessions=3))
        first, second, _ = [await door.open(options(), LiveClient("ann"), "request") for _ in range(3)]
        door.set_aside(second)
        door.set_aside(first)
        await door.open(options(), LiveClient("ann"), "request")
        with pytest.raises(TooManyStreams, match="another session"):
            await all_of(second)
        left = len(door)
        await door.aclose()
        return left

    assert live(opens()) == 3


def test_two_sessions_that_are_opened_at_the_same_time_take_the_places_of_two():
    async def opens():
        door = LiveSessions(Model(), Settings(max_client_live_sessions=2))
        for _ in range(2):
            door.set_aside(await door.open(options(), LiveClient("ann"), "request"))
        await asyncio.gather(*(door.open(options(), LiveClient("ann"), "request") for _ in range(2)))
        await door.aclose()

    live(opens())


def test_at_the_limit_of_the_process_a_clients_own_session_gives_way_too():
    async def opens():
        door = LiveSessions(Model(), Settings(max_live_sessions=1))
        door.set_aside(await door.open(options(), LiveClient("ann"), "request"))
        await door.open(options(), LiveClient("ann"), "request")
        await door.aclose()

    live(opens())


def test_a_session_that_has_its_client_back_does_not_give_way():
    async def opens():
        door = LiveSessions(Model(), Settings(max_client_live_sessions=1))
        session = await door.open(options(), LiveClient("ann"), "request")
        door.set_aside(session)
        door.take_up(session)
        with pytest.raises(TooManyStreams):
            await door.open(options(), LiveClient("ann"), "request")
        await door.aclose()

    live(opens())


@pytest.mark.parametrize(("one", "other"), [("ann", "bob"), ("", "")])  # "": clients that are not told apart
def test_no_session_gives_way_to_that_of_another_client(one, other):
    async def opens():
        door = LiveSessions(Model(), Settings(max_live_sessions=1))
        door.set_aside(await door.open(options(), LiveClient(one), "request"))
        with pytest.raises(ServiceUnavailable):
            await door.open(options(), LiveClient(other), "request")
        await door.aclose()

    live(opens())


class Forgetful(Model):
    """A model that keeps none of the audio, as the runner is another process."""

    async def transcribe(self, window, options, ticket):
        result = await super().transcribe(window, options, ticket)
        self.calls.clear()
        return result


def test_a_session_takes_little_memory_and_gives_back_all_of_it():
    async def use(samples):
        """Sessions with as much audio as they keep; memory while they are open, closed, and gone, bytes."""
        door = LiveSessions(Forgetful(), Settings(), asyncio.get_running_loop().time)
        sessions = [await door.open(options(turns=None), LiveClient(), str(number)) for number in range(SESSIONS)]
        listening = [asyncio.create_task(all_of(each)) for each in sessions]
        await asyncio.gather(*(each.feed(samples) for each in sessions))
        meanwhile, _ = tracemalloc.get_traced_memory()
        await door.aclose()
        await asyncio.gather(*listening)
        del listening
        gc.collect()
        closed, _ = tracemalloc.get_traced_memory()
        del sessions
        gc.collect()
        return meanwhile, closed, tracemalloc.get_traced_memory()[0]

    samples = speech(13)  # more than a session keeps
    tracemalloc.start()
    try:
        *_, before = live(use(samples))  # what is imported or made at the first use stays
        meanwhile, closed, after = live(use(samples))
    finally:
        tracemalloc.stop()
    assert meanwhile - before <= SESSIONS * MOST_BYTES
    assert closed - before <= SESSIONS * CLOSED_BYTES
    assert after - before <= SESSIONS * LEFT_BYTES
