"""Events wait for a reader who may be slow."""

import asyncio

import pytest

from transcription.live.events import Partial, SpeechStarted
from transcription.live.outbox import Outbox


def read(outbox):
    async def all_of_them():
        return [event async for event in outbox.events()]

    return asyncio.run(all_of_them())


def partial(confirmed, tentative, utterance=0):
    return Partial(utterance, confirmed, tentative, 0.0, 1.0)


def test_a_slow_reader_misses_tentative_text_alone():
    outbox = Outbox()
    for event in (SpeechStarted(0, 0.0), partial("", "a"), partial("a", " b"), partial(" b", " c")):
        outbox.put(event)
    outbox.close()
    assert read(outbox) == [SpeechStarted(0, 0.0), partial("a b", " c")]


def test_events_of_different_utterances_stay_apart():
    outbox = Outbox()
    outbox.put(partial("a", ""))
    outbox.put(partial("b", "", utterance=1))
    outbox.close()
    assert len(read(outbox)) == 2


def test_an_error_follows_what_was_said_before():
    outbox = Outbox()
    outbox.put(partial("a", ""))
    outbox.close(RuntimeError("broken"))

    async def all_of_them():
        found = []
        with pytest.raises(RuntimeError, match="broken"):
            async for event in outbox.events():
                found += [event]
        return found

    assert asyncio.run(all_of_them()) == [partial("a", "")]


def test_a_forgotten_utterance_is_not_told():
    outbox = Outbox()
    outbox.put(partial("a", ""))
    outbox.put(partial("b", "", utterance=1))
    outbox.forget(1)
    outbox.close()
    assert read(outbox) == [partial("a", "")]
