"""Which server events follow from what happens in a session."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from transcription.api.realtime.client_events import EventError
from transcription.api.realtime.conversation import Conversation
from transcription.core.errors import ServiceUnavailable
from transcription.core.transcript import Segment, Word
from transcription.live.events import Failed, Final, Partial, SpeechStarted, SpeechStopped

TRANSCRIPTION = "conversation.item.input_audio_transcription"


@pytest.fixture
def conversation() -> Conversation:
    numbers = count(1)
    return Conversation(lambda prefix: f"{prefix}_{next(numbers)}")


def final(utterance: int = 0, text: str = "Good morning.") -> Final:
    words = (Word(" Good", 0.3, 0.6, 0.9), Word(" morning.", 0.6, 1.1, 0.8))
    segment = Segment(0.3, 1.1, " Good morning.", (), -0.1, 1.0, 0.0, 0.0)
    return Final(utterance, text, words, (segment,), "en", 0.0, 1.5)


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_a_turn_that_the_server_ends(conversation: Conversation) -> None:
    [started] = conversation.hear(SpeechStarted(0, 0.1))
    assert started == {"type": "input_audio_buffer.speech_started", "audio_start_ms": 100, "item_id": "item_1"}
    [delta] = conversation.hear(Partial(0, "Good", " morning", 0.3, 1.1))
    assert (delta["type"], delta["item_id"], delta["delta"]) == (f"{TRANSCRIPTION}.delta", "item_1", "Good")
    stopped = conversation.hear(SpeechStopped(0, 1.1))
    assert types(stopped) == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert stopped[0]["audio_end_ms"] == 1100
    assert stopped[2]["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    [segment, completed] = conversation.hear(final())
    assert (segment["type"], segment["start"], segment["end"]) == (f"{TRANSCRIPTION}.segment", 0.3, 1.1)
    assert completed["transcript"] == "Good morning."
    assert completed["usage"] == {"type": "duration", "seconds": 1.5}
    assert completed["languages"] == [{"code": "en"}]
    assert {event["item_id"] for event in (started, delta, stopped[1], segment, completed)} == {"item_1"}


def test_tentative_text_is_not_sent(conversation: Conversation) -> None:
    assert conversation.hear(Partial(0, "", "perhaps", 0.0, 1.0)) == []


def test_a_turn_that_the_client_ends(conversation: Conversation) -> None:
    [delta] = conversation.hear(Partial(0, "Good", "", 0.3, 0.6))
    committed = conversation.commit(0)
    assert types(committed)[0] == "input_audio_buffer.committed"
    assert committed[0]["item_id"] == delta["item_id"]
    assert types(conversation.hear(final()))[-1] == f"{TRANSCRIPTION}.completed"


def test_a_turn_that_the_client_ends_before_the_server_is_committed_once(conversation: Conversation) -> None:
    conversation.hear(SpeechStarted(0, 0.1))
    assert conversation.commit(0)
    assert conversation.hear(SpeechStopped(0, 1.1)) == []


def test_items_name_the_one_before(conversation: Conversation) -> None:
    first, second = conversation.commit(0)[0], conversation.commit(1)[0]
    assert first["previous_item_id"] is None
    assert second["previous_item_id"] == first["item_id"]


def test_a_commit_without_audio_is_an_error(conversation: Conversation) -> None:
    with pytest.raises(EventError) as caught:
        conversation.commit(None, "mine")
    assert caught.value.code == "input_audio_buffer_commit_empty"
    assert caught.value.event_id == "mine"


def test_a_turn_that_failed(conversation: Conversation) -> None:
    conversation.commit(0)
    [failed] = conversation.hear(Failed(0, ServiceUnavailable("The model is being replaced. Try again.")))
    assert failed["type"] == f"{TRANSCRIPTION}.failed"
    assert failed["error"]["type"] == "server_error"
    assert "replaced" in failed["error"]["message"]


def test_a_cleared_turn_has_no_item(conversation: Conversation) -> None:
    [before] = conversation.hear(SpeechStarted(0, 0.1))
    assert conversation.clear() == [{"type": "input_audio_buffer.cleared"}]
    [after] = conversation.hear(SpeechStarted(1, 2.1))
    assert before["item_id"] != after["item_id"]


def test_the_beta_has_created_items(conversation: Conversation) -> None:
    conversation.is_beta = True
    assert types(conversation.commit(0)) == ["input_audio_buffer.committed", "conversation.item.created"]


def test_probabilities_of_words_on_request(conversation: Conversation) -> None:
    partial = Partial(0, "Good", "", 0.3, 0.6, (Word(" Good", 0.3, 0.6, 0.9),), wants_words=True)
    [delta] = conversation.hear(partial)
    completed = conversation.hear(replace(final(), wants_words=True))[-1]
    assert [each["token"] for each in delta["logprobs"]] == [" Good"]
    assert [each["token"] for each in completed["logprobs"]] == [" Good", " morning."]
