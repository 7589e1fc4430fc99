"""The minutes of live audio that a client may send in an hour."""

from __future__ import annotations

import asyncio

import pytest

from transcription.api.caller import CALLER, CLIENT, Caller, live_client
from transcription.api.live_minutes import LiveMinutes
from transcription.core.errors import TooManyLiveMinutes
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient

ANN, BOB = LiveClient("ann"), LiveClient("bob")


def taken(*audio: tuple[LiveClient, int], minutes: int = 1) -> None:
    """Count the seconds of each client in turn."""

    async def take() -> None:
        meter = LiveMinutes(Settings(max_client_live_minutes=minutes))
        for client, seconds in audio:
            await meter.take(client, seconds)

    asyncio.run(take())


def test_a_client_may_use_all_its_minutes() -> None:
    taken((ANN, 59), (BOB, 60), (ANN, 1))


def test_beyond_them_it_is_told_when_to_try_again() -> None:
    with pytest.raises(TooManyLiveMinutes, match=r"1 minutes .* Try again in \d+ s") as refused:
        taken((ANN, 60), (ANN, 1))
    assert 3590 < refused.value.retry_after <= 3600


def test_a_key_may_have_a_limit_of_its_own() -> None:
    ann = LiveClient("ann", minutes_per_hour=2)
    taken((ann, 120))
    with pytest.raises(TooManyLiveMinutes, match="2 minutes"):
        taken((ann, 120), (ann, 1))


def test_a_session_counts_against_the_key_or_the_address() -> None:
    caller = Caller("ann", live_minutes_per_hour=2)
    assert live_client({CALLER: caller, CLIENT: "key:ann"}) == LiveClient("key:ann", 2)
    assert live_client({CLIENT: "192.0.2.1"}) == LiveClient("192.0.2.1")
    assert live_client({CALLER: caller}).key == ""  # ENABLE_RATE_LIMIT is off


def test_without_limits_nothing_is_counted() -> None:
    taken((LiveClient(), 1_000_000))
