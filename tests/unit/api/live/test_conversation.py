"""What a session of WS /live keeps once it has ended, and what it gives back."""

import asyncio
import json
from pathlib import Path

import pytest

from formats.registry import ResponseFormat
from transcription.api.live.conversations import Conversations
from transcription.api.live.messages import DEMUXERS, Resume, Start
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import TooManyStreams, UnknownSession
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient
from transcription.live.sessions import LiveSessions


def open_files():
    """Those of this process. A decoder has pipes to it."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_of_the_finished_sessions_that_wait_for_their_clients_as_many_are_kept_as_may_run():
    async def drop(count):
        settings = Settings(whisper_model="demo", max_live_sessions=2)
        conversations = Conversations(LiveSessions(None, settings), settings)
        dropped = []
        for _ in range(count):
            conversation = await conversations.open(Start(type="start"), LiveClient("ann"), "request")
            await conversation.finish()
            await conversation.after(0)
            conversations.hold(conversation)
            dropped.append(Resume(type="resume", session=conversation.id, token=conversation.token))
        with pytest.raises(UnknownSession):
            conversations.resume(dropped[0])
        return [conversations.resume(each).finished for each in dropped[1:]]

    assert asyncio.run(drop(3)) == [True, True]


async def held_at_a_limit_of_one():
    """One session of a client, whose connection has dropped."""
    settings = Settings(whisper_model="demo", max_client_live_sessions=1)
    conversations = Conversations(LiveSessions(None, settings), settings)
    start, client = Start(type="start"), LiveClient("ann")
    first = await conversations.open(start, client, "request")
    conversations.hold(first)
    return conversations, start, client, first


def test_a_client_whose_session_gave_way_to_another_of_its_own_is_told_so_when_it_comes_back():
    async def come_back():
        conversations, start, client, first = await held_at_a_limit_of_one()
        second = await conversations.open(start, client, "request")
        conversations.resume(Resume(type="resume", session=first.id, token=first.token))
        events = [json.loads(text) for _, text in await first.after(0)]
        await conversations.close(first)
        await conversations.close(second)
        return [(event["type"], event.get("error")) for event in events]

    assert asyncio.run(come_back()) == [("error", "too_many_streams"), ("finished", None)]


def test_a_client_that_has_come_back_keeps_its_session():
    async def come_back():
        conversations, start, client, first = await held_at_a_limit_of_one()
        conversations.resume(Resume(type="resume", session=first.id, token=first.token))
        with pytest.raises(TooManyStreams):
            await conversations.open(start, client, "request")
        await conversations.close(first)

    asyncio.run(come_back())


@pytest.mark.parametrize("encoding", sorted(DEMUXERS))
def test_a_client_that_does_not_know_whether_its_finish_arrived_may_send_it_again(encoding):
    async def finish_twice():
        settings = Settings(whisper_model="demo")
        conversations = Conversations(LiveSessions(None, settings), settings)
        conversation = await conversations.open(Start(type="start", encoding=encoding), LiveClient("ann"), "request")
        await conversation.finish()
        await conversation.after(0)
        await conversation.audio(bytes(320))
        await conversation.finish()
        events = await conversation.after(0)
        await conversations.close(conversation)
        return [text for _, text in events]

    [event] = asyncio.run(finish_twice())
    assert '"finished"' in event


@pytest.mark.parametrize("encoding", sorted(DEMUXERS))
def test_a_session_that_a_limit_has_ended_gives_back_its_place_and_its_decoder_while_its_client_stays(encoding):
    async def reach_the_limit():
        settings = Settings(whisper_model="demo", max_duration=1)
        sessions = LiveSessions(None, settings)
        conversations = Conversations(sessions, settings)
        start = Start(type="start", encoding=encoding, language="en")
        # The first one starts the launcher of the decoders, which stays.
        await conversations.close(await conversations.open(start, LiveClient("ann"), "request"))
        before = open_files()
        conversation = await conversations.open(start, LiveClient("ann"), "request")
        assert (open_files() > before) is bool(DEMUXERS[encoding])
        await conversation.session.feed(bytes(2 * 3 * SAMPLE_RATE))
        async with asyncio.timeout(30):
            while len(sessions) or open_files() > before:
                await asyncio.sleep(0.01)
        events = [text for _, text in await conversation.after(0)]
        transcript = conversation.transcript(ResponseFormat.TEXT)
        await conversations.close(conversation)
        return events, transcript

    events, transcript = asyncio.run(reach_the_limit())
    assert ["audio_too_long" in events[0], "finished" in events[1]] == [True, True]
    assert transcript["content"].strip() == ""
