"""A session from audio to events, with a model that answers by the second of audio, in simulated time."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.unit.live.support import Model, all_of, live, of, options, play, speech, spoken
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter, ServiceUnavailable, TooManyStreams, UnknownModel
from transcription.core.options import Priority
from transcription.core.settings import Settings
from transcription.core.speakers import SpeakerOptions
from transcription.live.allowance import LiveClient
from transcription.live.events import Failed, Final, Partial, SpeechStarted, SpeechStopped
from transcription.live.session import LiveSession
from transcription.live.sessions import LiveSessions
from transcription.live.work import STOP_SECONDS


def test_an_utterance_is_started_told_in_parts_stopped_and_told_as_a_whole():
    events = live(spoken(Model(), speech(4, silence=1.5)))
    kinds = [type(event) for event in events]
    assert (kinds[0], kinds[-1]) == (SpeechStarted, Final)
    assert SpeechStopped in kinds
    (final,) = of(Final, events)
    assert final.text.split() == ["0", "1", "2", "3"]
    assert len(of(Partial, events)) > 2


def test_the_confirmed_parts_joined_are_the_final_text():
    events = live(spoken(Model(), speech(25, silence=1.5)))
    text = "".join(event.confirmed for event in of(Partial, events))
    assert text == of(Final, events)[0].text == " ".join(map(str, range(25)))


def test_without_the_models_for_speakers_texts_come_without_speakers(tmp_path):
    (tmp_path / "diarization").mkdir()  # empty

    async def speaks():
        chosen = replace(options(), speakers=SpeakerOptions())
        clock = asyncio.get_running_loop().time
        session = LiveSession(Model(), chosen, "request", clock, model_dir=tmp_path)
        await play(session, np.tile(speech(2, silence=1.5), 2))
        await session.finish()
        return await all_of(session)

    with capture_logs() as logged:
        finals = of(Final, live(speaks()))
    assert [final.text for final in finals] == ["0 1", "4"]
    assert not any(final.turns for final in finals)
    assert [entry["event"] for entry in logged] == ["live_speakers_failed"]


def test_silence_costs_no_decode_and_gives_no_event():
    model = Model()
    assert live(spoken(model, np.zeros(10 * SAMPLE_RATE, np.int16))) == []
    assert model.calls == []


def test_noise_that_the_client_commits_has_no_text():
    noise = np.random.default_rng(0).normal(0, 300, 3 * SAMPLE_RATE).astype(np.int16)
    events = live(spoken(Model(), noise, options(turns=None)))
    assert [event.text for event in events] == [""]


def test_ticks_are_live_drafts_of_at_most_fifteen_seconds_that_may_be_replaced():
    model = Model()
    live(spoken(model, speech(20, silence=1.5)))
    drafts = [(window, ticket) for window, decode, ticket in model.calls if decode.draft]
    assert all(ticket.priority is Priority.LIVE and ticket.replaceable for _, ticket in drafts)
    assert max(window.duration for window, _ in drafts) <= 12
    _, decode, ticket = model.calls[-1]
    assert (decode.draft, decode.beam_size, ticket.priority) == (False, 5, Priority.LIVE)


@pytest.mark.parametrize(("seconds", "beams"), [(0.2, 5), (1.0, 1)])
def test_ticks_are_searched_with_the_beams_of_the_request_unless_they_are_slow(seconds, beams):
    model = Model(seconds=seconds)
    live(spoken(model, speech(20)))
    drafts = [decode.beam_size for _, decode, _ in model.calls if decode.draft]
    assert set(drafts[2:]) == {beams}  # the first are sent before one has been timed


def test_without_turn_detection_the_client_ends_utterances():
    async def commits():
        session = LiveSession(Model(), options(turns=None), "request", asyncio.get_running_loop().time)
        numbers = []
        for _ in range(2):
            await play(session, speech(2, silence=1))
            numbers.append(await session.commit())
        numbers.append(await session.commit())
        await session.finish()
        return numbers, [event async for event in session.events()]

    numbers, events = live(commits())
    assert numbers == [0, 1, None]
    assert [event.utterance for event in of(Final, events)] == [0, 1]
    assert not of(SpeechStarted, events)


def test_a_long_pause_inside_an_utterance_confirms_what_is_before_it():
    async def pauses():
        session = LiveSession(Model(), options(turns=None), "request", asyncio.get_running_loop().time)
        await play(session, speech(3, silence=4))
        await session.aclose()  # without a commit
        return await all_of(session)

    confirmed = "".join(event.confirmed for event in of(Partial, live(pauses())))
    assert confirmed == "0 1 2"


def test_what_is_cleared_is_not_told():
    async def clears():
        session = LiveSession(Model(), options(), "request", asyncio.get_running_loop().time)
        await play(session, speech(2))
        await session.clear()
        await play(session, np.zeros(SAMPLE_RATE * 2, np.int16))
        await session.finish()
        return [event async for event in session.events()]

    assert of(Final, live(clears())) == []


def test_audio_faster_than_real_time_waits_for_the_model_and_nothing_is_lost():
    model = Model(seconds=1.0)
    events = live(spoken(model, speech(40, silence=1.5), real_time=False))
    assert of(Final, events)[0].text == " ".join(map(str, range(40)))
    assert max(window.duration for window, _, _ in model.calls) <= 15


def test_a_runner_that_is_replaced_costs_a_repeated_tick_and_not_the_session():
    model = Model(errors=[ServiceUnavailable("restarting", retry_after=1.0)] * 3)
    events = live(spoken(model, speech(8, silence=1.5)))
    assert of(Final, events)[0].text == " ".join(map(str, range(8)))
    assert of(Failed, events) == []


def test_an_utterance_that_cannot_be_decoded_fails_and_the_next_one_does_not():
    async def two():
        model = Model()
        session = LiveSession(model, options(), "request", asyncio.get_running_loop().time)
        model.errors = [UnknownModel("gone")] * 100
        await play(session, speech(2, silence=1.5))
        model.errors = []
        await play(session, speech(2, silence=1.5))
        await session.finish()
        return [event async for event in session.events()]

    events = live(two())
    assert [event.utterance for event in of(Failed, events)] == [0]
    assert [event.utterance for event in of(Final, events)] == [1]


def test_the_language_is_detected_once_and_then_kept():
    model = Model()
    live(spoken(model, speech(8, silence=1.5)))
    languages = [decode.language for _, decode, _ in model.calls]
    assert languages[0] is None
    assert languages[-1] == "en"


def test_odd_bytes_are_refused_and_the_session_goes_on():
    async def odd():
        session = LiveSession(Model(), options(), "request", asyncio.get_running_loop().time)
        with pytest.raises(InvalidParameter):
            await session.feed(b"\x00")
        await play(session, speech(2, silence=1.5))
        await session.finish()
        return [event async for event in session.events()]

    assert len(of(Final, live(odd()))) == 1


def test_a_session_holds_a_few_seconds_of_audio_however_long_it_lasts():
    async def long():
        session = LiveSession(Model(), options(turns=None), "request", asyncio.get_running_loop().time)
        most = 0
        for _ in range(6):
            await play(session, speech(10, silence=3))
            most = max(most, session._listening.audio.end - session._listening.audio.start)
        await session.aclose()
        return most

    assert live(long()) <= 16 * SAMPLE_RATE


def test_a_task_that_is_cancelled_while_it_closes_a_session_is_cancelled():
    async def closes():
        session = LiveSession(Model(seconds=60.0), options(), "request", asyncio.get_running_loop().time)
        await play(session, speech(3))
        closing = asyncio.create_task(session.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait((closing,))
        assert closing.cancelled()
        return [event async for event in session.events()]

    live(closes())


def test_closing_ends_the_events_and_leaves_no_task():
    async def closes():
        session = LiveSession(Model(seconds=60.0), options(), "request", asyncio.get_running_loop().time)
        await play(session, speech(3))
        await session.aclose()
        await session.aclose()
        events = [event async for event in session.events()]
        return events, [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    events, tasks = live(closes())
    assert of(Final, events) == []
    assert tasks == []


def sessions(**settings):
    return LiveSessions(Model(), Settings(**settings), asyncio.get_running_loop().time)


def test_a_caller_has_a_limit_and_a_closed_session_makes_room():
    async def opens():
        door = sessions(max_client_live_sessions=1)
        first = await door.open(options(), LiveClient("ann"), "request")
        with pytest.raises(TooManyStreams):
            await door.open(options(), LiveClient("ann"), "request")
        other = await door.open(options(), LiveClient("bob"), "request")
        await first.aclose()
        again = await door.open(options(), LiveClient("ann"), "request")
        for each in (other, again):
            await each.aclose()
        return len(door)

    assert live(opens()) == 0


def test_a_process_has_a_limit():
    async def opens():
        door = sessions(max_live_sessions=1)
        await door.open(options(), LiveClient(), "request")
        with pytest.raises(ServiceUnavailable, match="MAX_LIVE_SESSIONS"):
            await door.open(options(), LiveClient(), "request")
        await door.aclose()

    live(opens())


def test_a_model_that_is_too_slow_for_one_session_refuses_the_second():
    async def opens():
        door = LiveSessions(Model(seconds=2.0), Settings(), asyncio.get_running_loop().time)
        session = await door.open(options(), LiveClient(), "request")
        await play(session, speech(8))
        with pytest.raises(ServiceUnavailable, match="too busy") as refused:
            await door.open(options(), LiveClient(), "request")
        await door.aclose()
        return refused.value.retry_after

    assert live(opens()) > 0


def test_when_the_model_stops_with_the_service_the_tentative_text_is_the_last_one():
    async def stops():
        model = Model()
        door = LiveSessions(model, Settings(), asyncio.get_running_loop().time)
        session = await door.open(options(), LiveClient(), "request")
        await play(session, speech(3))
        model.errors = [ServiceUnavailable("stopping")] * 100
        began = asyncio.get_running_loop().time()
        await door.aclose()
        return await all_of(session), asyncio.get_running_loop().time() - began

    events, seconds = live(stops())
    assert of(Final, events)[0].text.split()[:2] == ["0", "1"]
    assert seconds < 2


def test_a_model_that_is_too_slow_for_a_stop_leaves_the_tentative_text():
    async def stops():
        model = Model()
        door = LiveSessions(model, Settings(), asyncio.get_running_loop().time)
        session = await door.open(options(), LiveClient(), "request")
        await play(session, speech(3))
        model.seconds = 60
        began = asyncio.get_running_loop().time()
        door.stop_soon()
        return await all_of(session), asyncio.get_running_loop().time() - began

    events, seconds = live(stops())
    assert of(Final, events)[0].text.split()[:2] == ["0", "1"]
    assert seconds == pytest.approx(STOP_SECONDS)


def test_a_stop_gives_every_utterance_its_final_text():
    async def stops():
        door = sessions()
        session = await door.open(options(), LiveClient(), "request")
        await play(session, speech(3))
        await door.aclose()
        with pytest.raises(ServiceUnavailable, match="stopping"):
            await door.open(options(), LiveClient(), "request")
        return [event async for event in session.events()]

    assert of(Final, live(stops()))[0].text.split() == ["0", "1", "2"]
