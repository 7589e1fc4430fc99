"""Wyoming over TCP, called by the client that Home Assistant uses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from tests.support.clips import SpokenClip
from tests.support.pcm import as_pcm
from tests.support.service import LocalService
from tests.support.waiting import wait_until

RATE = 16_000
CHUNK_BYTES = 2048
TIME_LIMIT = 60  # seconds

Talk = Callable[[Callable[[AsyncTcpClient], Awaitable[None]]], None]


@pytest.fixture
def talk(service: LocalService, wyoming_port: int) -> Talk:
    """Runs a conversation over a new connection."""
    assert wait_until(lambda: service.log.read_text().count('"wyoming_listens"') > 0)

    def run(conversation: Callable[[AsyncTcpClient], Awaitable[None]]) -> None:
        async def over_a_connection() -> None:
            async with asyncio.timeout(TIME_LIMIT), AsyncTcpClient("127.0.0.1", wyoming_port) as client:
                await conversation(client)

        asyncio.run(over_a_connection())

    return run


async def say(client: AsyncTcpClient, audio: bytes, rate: int = RATE) -> None:
    form = {"rate": rate, "width": 2, "channels": 1}
    await client.write_event(AudioStart(**form).event())
    for at in range(0, len(audio), CHUNK_BYTES):
        await client.write_event(AudioChunk(**form, audio=audio[at : at + CHUNK_BYTES]).event())
    await client.write_event(AudioStop().event())


async def answer(client: AsyncTcpClient) -> list[Event]:
    """The events up to the end of a transcript."""
    events = []
    while not (events and TranscriptStop.is_type(events[-1].type)):
        event = await client.read_event()
        assert event is not None
        events.append(event)
    return events


async def error_from(client: AsyncTcpClient) -> Error:
    event = await client.read_event()
    assert event is not None
    assert Error.is_type(event.type)
    return Error.from_event(event)


def test_it_describes_its_models(talk: Talk) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        [program] = Info.from_event(event).asr
        assert program.supports_transcript_streaming
        demo = next(model for model in program.models if model.name == "demo")
        assert "en" in demo.languages
        await client.write_event(Ping(text="hello").event())
        pong = await client.read_event()
        assert pong is not None
        assert Pong.from_event(pong).text == "hello"

    talk(conversation)


def test_one_recording_after_the_other_is_transcribed(talk: Talk, spoken_clip: SpokenClip) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        for rate in (RATE, 22_050):
            await client.write_event(Transcribe(name="demo", language="en").event())
            await say(client, as_pcm(spoken_clip.path, rate), rate)
            events = await answer(client)
            assert TranscriptStart.is_type(events[0].type)
            chunks = [TranscriptChunk.from_event(event).text for event in events if TranscriptChunk.is_type(event.type)]
            transcript = Transcript.from_event(events[-2])
            assert transcript.text == "".join(chunks).strip() == spoken_clip.text
            assert transcript.language == "en"

    talk(conversation)


def test_without_speech_the_transcript_is_empty(talk: Talk) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        await say(client, bytes(RATE))
        assert Transcript.from_event((await answer(client))[-2]).text == ""

    talk(conversation)


def test_a_wrong_event_is_answered_and_the_connection_goes_on(talk: Talk, spoken_clip: SpokenClip) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        await client.write_event(AudioStop().event())
        assert "audio-start" in (await error_from(client)).text
        await client.write_event(AudioStart(rate=RATE, width=4, channels=1).event())
        assert "2 bytes" in (await error_from(client)).text
        await client.write_event(Transcribe(name="gpt-17").event())
        await client.write_event(AudioStart(rate=RATE, width=2, channels=1).event())
        assert (await error_from(client)).code == "unknown_model"
        await client.write_event(Transcribe(language="en").event())
        await say(client, as_pcm(spoken_clip.path, RATE))
        assert Transcript.from_event((await answer(client))[-2]).text == spoken_clip.text

    talk(conversation)


async def pong(client: AsyncTcpClient) -> None:
    """Nothing has been sent before the answer to a ping."""
    await client.write_event(Ping().event())
    event = await client.read_event()
    assert event is not None
    assert Pong.is_type(event.type)


def test_a_recording_that_is_refused_is_answered_once(talk: Talk, spoken_clip: SpokenClip) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        await client.write_event(Transcribe(name="gpt-17").event())
        await say(client, bytes(RATE))
        assert (await error_from(client)).code == "unknown_model"
        await pong(client)
        await client.write_event(Transcribe(language="en").event())
        await say(client, as_pcm(spoken_clip.path, RATE))
        assert Transcript.from_event((await answer(client))[-2]).text == spoken_clip.text

    talk(conversation)


def test_audio_without_a_start_is_answered_once(talk: Talk) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        for _ in range(3):
            await client.write_event(AudioChunk(rate=RATE, width=2, channels=1, audio=bytes(CHUNK_BYTES)).event())
        await client.write_event(AudioStop().event())
        assert "audio-start" in (await error_from(client)).text
        await pong(client)

    talk(conversation)


def test_what_is_no_event_ends_the_connection(talk: Talk) -> None:
    async def conversation(client: AsyncTcpClient) -> None:
        assert client._writer
        client._writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert "JSON" in (await error_from(client)).text
        assert await client.read_event() is None

    talk(conversation)
