"""A connection from its frames to its messages, with a model that answers by the second of audio, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.websockets import WebSocketDisconnect

from tests.unit.live.support import STEP, Model, live, speech
from transcription.api.deepgram.parameters import parse_query
from transcription.api.deepgram.routes import ListenConnection
from transcription.core.audio import SAMPLE_RATE
from transcription.core.settings import Settings
from transcription.live.session import LiveSession

FORMAT = {"encoding": "linear16", "sample_rate": str(SAMPLE_RATE)}
FINALIZE, CLOSE = '{"type": "Finalize"}', '{"type": "CloseStream"}'
Message = dict[str, Any]


class Client:
    """Stands in for the socket of a client that speaks in real time. sent: the messages, with their simulated times."""

    def __init__(self, frames: Sequence[str | bytes]) -> None:
        self._frames = iter(frames)
        self._closed = asyncio.Event()
        self.sent: list[tuple[float, Message]] = []

    async def receive(self) -> str | bytes:
        """The next frame."""
        for frame in self._frames:
            if isinstance(frame, bytes):
                await asyncio.sleep(len(frame) / 2 / SAMPLE_RATE)
            return frame
        await self._closed.wait()
        raise WebSocketDisconnect

    async def send(self, documents: Sequence[Message]) -> None:
        """Take messages."""
        now = asyncio.get_running_loop().time()
        self.sent += [(now, document) for document in documents]

    async def close(self, code: int, reason: str = "") -> None:
        """The service is done."""
        self._closed.set()


def audio(*seconds_and_silences: float) -> list[bytes]:
    """Frames of 100 ms: a voice, silence, a voice and so on."""
    pairs = zip(seconds_and_silences[::2], seconds_and_silences[1::2], strict=True)
    samples = np.concatenate([speech(voice, silence=silence) for voice, silence in pairs])
    return [samples[at : at + STEP].tobytes() for at in range(0, len(samples), STEP)]


def heard(frames: Sequence[str | bytes], model: Model, **query: str) -> list[tuple[float, Message]]:
    """The messages that a client of these frames is sent, with their times."""

    async def listens() -> list[tuple[float, Message]]:
        options = parse_query(list((FORMAT | query).items()), Settings(whisper_model="base"))
        session = LiveSession(model, options.live, "request", asyncio.get_running_loop().time)  # type: ignore[arg-type]
        client = Client(frames)
        try:
            await ListenConnection(client, session, options, "request").serve()  # type: ignore[arg-type]
        finally:
            await session.aclose()
        return client.sent

    messages: list[tuple[float, Message]] = live(listens())
    return messages


def results(messages: Sequence[tuple[float, Message]]) -> list[tuple[str, bool]]:
    """The text of each result, and whether it answers Finalize."""
    found = [message for _, message in messages if message["type"] == "Results"]
    return [(each["channel"]["alternatives"][0]["transcript"], each["from_finalize"]) for each in found]


def test_finalize_is_answered_with_the_text_of_an_utterance_that_a_pause_has_ended_already() -> None:
    messages = heard([*audio(2, 0.4), FINALIZE, CLOSE], Model(seconds=0.6), endpointing="300")
    assert results(messages) == [("0 1", True)]


def test_finalize_is_answered_after_the_texts_of_all_utterances_before_it() -> None:
    messages = heard([*audio(2, 0.6, 2, 0.4), FINALIZE, CLOSE], Model(seconds=1.5), endpointing="300")
    assert [from_finalize for _, from_finalize in results(messages)] == [False, True]


def test_finalize_with_nothing_left_to_say_is_answered_at_once() -> None:
    messages = heard([*audio(2, 1.5), FINALIZE, CLOSE], Model(), endpointing="300")
    assert results(messages) == [("0 1", False), ("", True)]


def when(messages: Sequence[tuple[float, Message]], kind: str, **fields: bool) -> list[float]:
    """The times of the messages of a type with these fields."""
    return [at for at, each in messages if each["type"] == kind and all(each[name] is fields[name] for name in fields)]


def test_speech_is_final_after_endpointing_and_the_utterance_ends_after_the_time_without_words() -> None:
    messages = heard([*audio(2, 2.5), CLOSE], Model(), endpointing="300", utterance_end_ms="1000")
    [final] = when(messages, "Results", speech_final=True)
    [end] = when(messages, "UtteranceEnd")
    assert 2.3 <= final < 2.6
    last_word_end = next(message["last_word_end"] for _, message in messages if message["type"] == "UtteranceEnd")
    assert last_word_end + 1.0 <= end < last_word_end + 1.2


def test_a_pause_shorter_than_the_time_without_words_does_not_end_the_utterance() -> None:
    messages = heard([*audio(2, 0.7, 2, 2.5), CLOSE], Model(), endpointing="300", utterance_end_ms="1500")
    assert len(when(messages, "Results", speech_final=True)) == 2
    assert len(when(messages, "UtteranceEnd")) == 1


def test_without_endpointing_the_utterance_ends_and_no_speech_is_final() -> None:
    messages = heard([*audio(2, 2.5), CLOSE], Model(), endpointing="false", utterance_end_ms="1000")
    assert results(messages) == [("0 1", False)]
    assert when(messages, "Results", speech_final=True) == []
    assert len(when(messages, "UtteranceEnd")) == 1
