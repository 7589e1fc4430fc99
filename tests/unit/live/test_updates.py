"""What a change of the options does to a session, in simulated time."""

import asyncio
from dataclasses import replace

import pytest

from tests.unit.live.support import TURNS, Model, all_of, live, of, options, play, speech
from transcription.core.options import DecodeOptions, Task
from transcription.live.events import Final, SpeechStarted, SpeechStopped
from transcription.live.options import LiveOptions
from transcription.live.session import LiveSession


def test_other_options_hold_from_the_next_utterance_on():
    async def changes():
        model = Model()
        session = LiveSession(model, options(language="en"), "request", asyncio.get_running_loop().time)
        await play(session, speech(2, silence=1.5))
        session.update(options(language="de"))
        await play(session, speech(2, silence=1.5))
        await session.finish()
        return [event async for event in session.events()]

    assert [event.language for event in of(Final, live(changes()))] == ["en", "de"]


@pytest.mark.parametrize(
    "changed",
    [{"language": "de"}, {"task": Task.TRANSLATE}, {"beam_size": 2}, {"initial_prompt": "Anna"}, {"hotwords": "Anna"}],
)
def test_an_utterance_keeps_the_options_that_it_began_with(changed):
    async def changes():
        model, chosen = Model(), options(language="en", beam_size=3)
        session = LiveSession(model, chosen, "request", asyncio.get_running_loop().time)
        await play(session, speech(2))
        session.update(replace(chosen, decode=replace(chosen.decode, **changed), words=False))
        await play(session, speech(2, silence=1.5))
        await session.finish()
        return model.calls, of(Final, await all_of(session))

    calls, (final,) = live(changes())
    [(field, value)] = changed.items()
    assert value not in {getattr(decode, field) for _, decode, _ in calls}
    assert final.language == "en"
    assert final.words


def languages_after(first, changed):
    """The languages of the decodes after an update between two utterances."""

    async def changes():
        model = Model()
        session = LiveSession(model, first, "request", asyncio.get_running_loop().time)
        await play(session, speech(4, silence=1.5))
        before = len(model.calls)
        session.update(changed)
        await play(session, speech(4, silence=1.5))
        await session.finish()
        return [decode.language for _, decode, _ in model.calls[before:]]

    return live(changes())


def test_a_detected_language_is_kept_when_another_option_changes():
    assert set(languages_after(options(), options(initial_prompt="Anna"))) == {"en"}


@pytest.mark.parametrize(
    ("first", "changed"),
    [
        (options(language="en"), options()),
        (options(), options(languages=("de", "fr"))),
        (options(), LiveOptions(DecodeOptions("another"), TURNS)),
    ],
)
def test_the_language_is_detected_anew_among_other_candidates_and_by_another_model(first, changed):
    assert languages_after(first, changed)[0] is None


def test_an_utterance_is_ended_by_the_next_pause_once_turns_are_asked_for():
    async def changes():
        session = LiveSession(Model(), options(turns=None), "request", asyncio.get_running_loop().time)
        await play(session, speech(2))
        session.update(options())
        await play(session, speech(1, silence=1.5))
        await play(session, speech(2, silence=1.5))
        await session.finish()
        return [event async for event in session.events()]

    events = live(changes())
    assert [event.utterance for event in of(Final, events)] == [0, 1]
    assert [event.utterance for event in of(SpeechStopped, events)] == [0, 1]
    assert [event.utterance for event in of(SpeechStarted, events)] == [1]
