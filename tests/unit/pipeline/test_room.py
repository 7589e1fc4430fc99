"""Shares of memory: no request takes more than there is, and every request gets its turn."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.errors import error_response
from transcription.core.errors import ServiceUnavailable
from transcription.pipeline import room as module
from transcription.pipeline.room import DECODER_BYTES, LONGEST_SHORT, Room, Share, room_for

SIZE = 100


async def settled() -> None:
    """Every task has run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Guest:
    """A task that takes a share and keeps it until told."""

    def __init__(self, room: Room, size: int) -> None:
        self._leave = asyncio.Event()
        self.share: Share | None = None
        self.task = asyncio.create_task(self._stay(room, size))

    @property
    def is_in(self) -> bool:
        return self.share is not None and not self.task.done()

    async def leave(self) -> None:
        self._leave.set()
        await self.task

    async def _stay(self, room: Room, size: int) -> None:
        async with room.share(size) as self.share:
            await self._leave.wait()


def test_who_finds_too_little_left_waits_until_another_leaves() -> None:
    async def scenario() -> None:
        room = Room(SIZE)
        first, second = Guest(room, 60), Guest(room, 60)
        await settled()
        assert (first.is_in, second.is_in) == (True, False)
        await first.leave()
        await settled()
        assert second.is_in
        await second.leave()

    asyncio.run(scenario())


def test_a_small_one_does_not_overtake_a_large_one_that_waits() -> None:
    async def scenario() -> None:
        room = Room(SIZE)
        guests = [Guest(room, size) for size in (60, 60, 10)]
        await settled()
        assert [guest.is_in for guest in guests] == [True, False, False]
        await guests[0].leave()
        await settled()
        assert [guest.is_in for guest in guests[1:]] == [True, True]
        for guest in guests[1:]:
            await guest.leave()

    asyncio.run(scenario())


def test_what_a_share_gives_back_is_there_for_the_next() -> None:
    async def scenario() -> None:
        room = Room(SIZE)
        first, second = Guest(room, 90), Guest(room, 60)
        await settled()
        assert first.share
        first.share.shrink(40)
        first.share.shrink(70)  # it has no more than 40
        await settled()
        assert second.is_in
        await first.leave()
        await second.leave()
        async with room.share(SIZE):
            pass

    asyncio.run(scenario())


def test_more_than_there_is_takes_all() -> None:
    async def scenario() -> None:
        async with Room(SIZE).share(10 * SIZE) as share:
            assert share.size == SIZE

    asyncio.run(scenario())


def test_a_share_that_was_given_to_someone_who_is_cancelled_at_that_moment_is_there_for_the_next() -> None:
    async def scenario() -> None:
        room = Room(SIZE)
        first, second, third = (Guest(room, SIZE) for _ in range(3))
        await settled()
        assert first.share
        first.share.shrink(0)  # the second one's turn, but its task has not run yet
        second.task.cancel()
        await asyncio.gather(second.task, return_exceptions=True)
        await settled()
        assert second.task.cancelled()
        assert second.share is None
        assert third.is_in
        await first.leave()
        await third.leave()

    asyncio.run(scenario())


def test_if_too_many_wait_the_next_one_is_told_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(module, "MOST_WAITING", 2)
        room = Room(SIZE)
        guests = [Guest(room, SIZE) for _ in range(4)]
        await settled()
        refusal = guests.pop().task.exception()
        assert isinstance(refusal, ServiceUnavailable)
        response = error_response(refusal)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        for guest in guests:
            await guest.leave()

    asyncio.run(scenario())


def test_a_recording_that_turns_out_to_be_long_gives_everything_back() -> None:
    async def scenario() -> None:
        async with Room(SIZE).share(SIZE) as share:
            share.decoded(LONGEST_SHORT)
            assert share.size == SIZE
            share.decoded(LONGEST_SHORT + 1)
            assert share.size == 0

    asyncio.run(scenario())


def test_two_channels_take_twice_as_much_and_give_back_each_decoder_as_it_ends() -> None:
    async def scenario() -> None:
        size = room_for(10, decoders=2)
        assert size == 2 * room_for(10)
        async with Room(size).share(size) as share:
            share.decoder_ended()
            assert share.size == size - DECODER_BYTES
            share.decoder_ended()
            assert share.size == size - 2 * DECODER_BYTES > 0

    asyncio.run(scenario())


@given(st.lists(st.tuples(st.integers(0, 120), st.sampled_from(["leave", "cancel"]), st.integers(0, 30)), max_size=30))
def test_whatever_guests_do_the_room_is_never_overfull_and_is_empty_at_the_end(moves) -> None:  # type: ignore[no-untyped-def]
    async def scenario() -> None:
        room, guests = Room(SIZE), []
        for size, how, which in moves:
            guests.append(Guest(room, size))
            await settled()
            assert sum(guest.share.size for guest in guests if guest.is_in and guest.share) <= SIZE
            guest = guests[which % len(guests)]
            if how == "cancel":
                guest.task.cancel()
            else:
                guest._leave.set()
        async with AsyncExitStack() as stack:
            for guest in guests:
                stack.callback(guest.task.cancel)
        await asyncio.gather(*(guest.task for guest in guests), return_exceptions=True)
        async with asyncio.timeout(10), room.share(SIZE) as share:
            assert share.size == SIZE

    asyncio.run(scenario())
