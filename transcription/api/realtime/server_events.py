"""The events of OpenAI's Realtime API that the server sends, as documents without their `event_id`."""

from __future__ import annotations

from typing import Any

from formats.openai import languages, logprob
from transcription.api.errors import kind_of, public_message
from transcription.api.openai import errors as openai_errors
from transcription.api.realtime.client_events import EventError
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.transcript import Segment
from transcription.live.events import Final, Partial

Document = dict[str, Any]

TRANSCRIPTION = "conversation.item.input_audio_transcription"
TIME_DIGITS = 3
CONTENT_INDEX = 0  # an item has one part, the audio


def session_event(kind: str, session: Document) -> Document:
    """kind: session.created, session.updated, or the beta's transcription_session.created and .updated."""
    return {"type": kind, "session": session}


def speech_started(item_id: str, at: float) -> Document:
    """at: seconds of audio since the session's start."""
    return {"type": "input_audio_buffer.speech_started", "audio_start_ms": round(at * 1000), "item_id": item_id}


def speech_stopped(item_id: str, at: float) -> Document:
    """at: seconds of audio since the session's start."""
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": round(at * 1000), "item_id": item_id}


def committed(item_id: str, previous: str | None) -> Document:
    """The audio of an item is complete. previous: the item before it."""
    return {"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": item_id}


def cleared() -> Document:
    """The audio of the current turn was forgotten."""
    return {"type": "input_audio_buffer.cleared"}


def item_event(kind: str, item_id: str, previous: str | None) -> Document:
    """kind: added and done, or the beta's created. The transcript follows in events of its own."""
    return {
        "type": f"conversation.item.{kind}",
        "previous_item_id": previous,
        "item": {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        },
    }


def delta(item_id: str, partial: Partial) -> Document:
    """More confirmed text."""
    return {
        "type": f"{TRANSCRIPTION}.delta",
        "item_id": item_id,
        "content_index": CONTENT_INDEX,
        "delta": partial.confirmed,
        **_logprobs(partial),
    }


def segment(item_id: str, number: int, given: Segment) -> Document:
    """A phrase with its times in the session. number: in its item, from 0 on."""
    return {
        "type": f"{TRANSCRIPTION}.segment",
        "id": f"{item_id}_{number}",
        "item_id": item_id,
        "content_index": CONTENT_INDEX,
        "start": round(given.start, TIME_DIGITS),
        "end": round(given.end, TIME_DIGITS),
        "text": given.text.strip(),
        "speaker": given.speaker or "",
    }


def completed(item_id: str, final: Final) -> Document:
    """The text of an item."""
    return {
        "type": f"{TRANSCRIPTION}.completed",
        "item_id": item_id,
        "content_index": CONTENT_INDEX,
        "transcript": final.text,
        "languages": languages(final.language),
        "usage": {"type": "duration", "seconds": round(final.end - final.start, TIME_DIGITS)},
        **_logprobs(final),
    }


def failed(item_id: str, error: TranscriptionError) -> Document:
    """An item has no text."""
    return {
        "type": f"{TRANSCRIPTION}.failed",
        "item_id": item_id,
        "content_index": CONTENT_INDEX,
        "error": error_document(error),
    }


def refused(error: EventError | TranscriptionError, event_id: str | None = None) -> Document:
    """An `error` event. event_id: of the client's event that is refused."""
    if isinstance(error, EventError):
        document = {"type": "invalid_request_error", "code": error.code, "message": error.message, "param": error.param}
        event_id = error.event_id
    else:
        document = error_document(error)
    return {"type": "error", "error": {**document, "event_id": event_id}}


def error_document(error: TranscriptionError) -> Document:
    """An error of the domain in OpenAI's shape."""
    kind = kind_of(error)
    ours = {
        "error": kind.code,
        "message": public_message(error),
        "param": error.parameter if isinstance(error, InvalidParameter) else None,
    }
    document: Document = openai_errors.document_of(ours, openai_errors.status_of(kind.status, kind.code))["error"]
    return document


def _logprobs(event: Partial | Final) -> Document:
    return {"logprobs": [logprob(word) for word in event.words]} if event.wants_words else {}
