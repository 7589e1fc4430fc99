"""Which messages follow from what happens in a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.deepgram.parameters import parse_query
from transcription.api.deepgram.results import Results, parse_control
from transcription.core.errors import InvalidParameter, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.core.transcript import Word
from transcription.live.events import Failed, Final, Partial, SpeechStarted

QUERY = {"encoding": "linear16", "sample_rate": "16000"}


def results(**query: str) -> Results:
    return Results(parse_query(list((QUERY | query).items()), Settings(whisper_model="base")), "request-1")


def partial(text: str, start: float, end: float, tentative: str = "") -> Partial:
    return Partial(0, text, tentative, start, end, (Word(f" {text.strip()}", start, end, 0.9),) if text else ())


def final(text: str = "Good morning.") -> Final:
    return Final(0, text, (), (), "en", 0.0, 2.0)


def shown(message: dict[str, Any]) -> tuple[str, bool, bool]:
    return message["channel"]["alternatives"][0]["transcript"], message["is_final"], message["speech_final"]


def test_interim_results_have_all_the_text_that_is_not_final_yet() -> None:
    following = results(interim_results="true")
    [first] = following.hear(partial("Good", 0.2, 0.5, " mourning"))
    [second] = following.hear(partial(" morning.", 0.6, 1.0))
    assert shown(first) == ("Good mourning", False, False)
    assert shown(second) == ("Good morning.", False, False)


def test_without_interim_results_only_final_ones_are_sent() -> None:
    assert results().hear(partial("Good", 0.2, 0.5, " mourning")) == []


def test_the_last_result_of_an_utterance_has_its_text() -> None:
    following = results()
    following.hear(partial("Good", 0.2, 0.5))
    following.hear(partial(" morning.", 0.6, 1.0))
    [last] = following.hear(final())
    assert shown(last) == ("Good morning.", True, True)
    assert [word["word"] for word in last["channel"]["alternatives"][0]["words"]] == ["good", "morning"]
    assert last["channel"]["alternatives"][0]["words"][1]["punctuated_word"] == "morning."


@pytest.mark.parametrize("ends", ["with text", "with an error"])
def test_the_text_of_the_next_utterance_is_not_that_of_this_one(ends: str) -> None:
    following = results()
    following.hear(partial("Good", 0.2, 0.5))
    following.hear(replace(partial("How", 2.4, 2.7), utterance=1))
    following.hear(final() if ends == "with text" else Failed(0, ServiceUnavailable("busy")))
    [last] = following.hear(replace(final("How"), utterance=1))
    assert shown(last)[0] == "How"


def test_long_speech_becomes_final_piece_by_piece() -> None:
    following = results()
    sent = [message for at in range(8) for message in following.hear(partial(f" w{at}", at, at + 0.5))]
    sent += following.hear(final())
    assert len(sent) > 1
    assert " ".join(shown(message)[0] for message in sent) == " ".join(f"w{at}" for at in range(8))
    assert [shown(message)[2] for message in sent] == [False] * (len(sent) - 1) + [True]


def test_the_beginning_of_speech_is_told_on_request() -> None:
    [message] = results(vad_events="true").hear(SpeechStarted(0, 0.1))
    assert message == {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 0.1}


def test_the_end_of_an_utterance_is_told_after_the_time_without_words() -> None:
    following = results(utterance_end_ms="1000")
    following.hear(SpeechStarted(0, 0.1))
    following.hear(partial("Good", 0.2, 0.5))
    assert len(following.hear(final("Good"))) == 1
    assert following.listen(1.4, 0) == []
    assert following.listen(1.5, 0) == [{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.5}]


def test_the_end_of_an_utterance_is_told_on_request_alone() -> None:
    following = results()
    following.hear(SpeechStarted(0, 0.1))
    following.hear(partial("Good", 0.2, 0.5))
    following.hear(final("Good"))
    assert following.listen(9.0, 0) == []


def test_text_that_comes_late_has_the_end_of_its_utterance_after_it() -> None:
    following = results(utterance_end_ms="1000")
    following.hear(SpeechStarted(0, 0.1))
    following.hear(partial("Good", 0.2, 0.5))
    assert following.listen(2.0, 0) == []
    assert [message["type"] for message in following.hear(final("Good"))] == ["Results", "UtteranceEnd"]


def test_the_end_of_an_utterance_comes_before_the_next_one() -> None:
    following = results(utterance_end_ms="1000", vad_events="true")
    following.hear(SpeechStarted(0, 0.1))
    following.hear(partial("Good", 0.2, 0.5))
    following.hear(final("Good"))
    messages = following.hear(SpeechStarted(1, 3.0))
    assert [message["type"] for message in messages] == ["UtteranceEnd", "SpeechStarted"]


def test_what_the_client_finalizes_says_so() -> None:
    following = results()
    assert following.finalize(0) == []
    assert following.hear(final())[0]["from_finalize"]


def test_finalize_after_the_last_text_has_an_empty_answer() -> None:
    following = results()
    following.hear(final())
    [answer] = following.finalize(0)
    assert shown(answer) == ("", True, False)
    assert answer["from_finalize"]


def test_finalize_is_answered_even_if_the_utterance_fails() -> None:
    following = results()
    following.finalize(0)
    error, answer = following.hear(Failed(0, ServiceUnavailable("Try again.")))
    assert error["type"] == "Error"
    assert (answer["from_finalize"], shown(answer)) == (True, ("", True, False))


def test_a_failure_is_an_error_and_leaves_nothing_behind() -> None:
    following = results()
    following.hear(partial("Good", 0.2, 0.5))
    [error] = following.hear(Failed(0, ServiceUnavailable("Try again.")))
    assert (error["type"], error["description"]) == ("Error", "Try again.")
    assert shown(following.hear(final(""))[0])[0] == ""


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_a_control_or_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="KeepAlive"):
        parse_control(text)


def test_with_speakers_all_words_of_an_utterance_are_final_at_its_end_and_have_a_number() -> None:
    following = results(diarize="true")
    spoken = [Word(" Hi.", 0.0, 0.5, 0.9, "SPEAKER_00"), Word(" Hello.", 6.0, 6.5, 0.9, "SPEAKER_11")]
    assert following.hear(partial("Hi.", 0.0, 0.5)) == []
    assert following.hear(partial(" Hello.", 6.0, 6.5)) == []
    [result] = following.hear(Final(0, "Hi. Hello.", tuple(spoken), (), "en", 0.0, 7.0))
    [alternative] = result["channel"]["alternatives"]
    assert alternative["transcript"] == "Hi. Hello."
    assert [word["speaker"] for word in alternative["words"]] == [0, 11]
