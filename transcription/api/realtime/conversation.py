"""The items of a Realtime session: which server events follow from what the engine and the client do. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transcription.api.realtime import server_events
from transcription.api.realtime.client_events import EventError
from transcription.api.realtime.server_events import Document
from transcription.live.events import Failed, Final, LiveEvent, Partial, SpeechStarted, SpeechStopped


@dataclass(slots=True)
class _Item:
    """One turn. committed: its audio is complete, and the client knows it."""

    id: str
    committed: bool = False


class Conversation:
    """Follows one session. new_id: a new id, with this prefix."""

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self._new_id = new_id
        self._items: dict[int, _Item] = {}  # by the engine's number of the utterance
        self._last: str | None = None
        self.is_beta = False

    def hear(self, event: LiveEvent) -> list[Document]:
        """The events that follow from one of the engine's."""
        match event:
            case SpeechStarted():
                item = self._items[event.utterance] = _Item(self._new_id("item"))
                return [server_events.speech_started(item.id, event.at)]
            case SpeechStopped():
                return self._stopped(event)
            case Partial():
                item = self._item(event.utterance)
                return [server_events.delta(item.id, event)] if event.confirmed else []
            case Final():
                return self._final(event)
            case Failed():
                commit, item_id = self._end(event.utterance)
                return [*commit, server_events.failed(item_id, event.error)]

    def commit(self, utterance: int | None, event_id: str | None = None) -> list[Document]:
        """The client has ended a turn. utterance: what the engine made of it. Raises EventError if there was none."""
        if utterance is None:
            raise EventError(
                "Error committing input audio buffer: it holds no audio of a turn. Append audio "
                "first; with server_vad, turns end by themselves.",
                "input_audio_buffer_commit_empty",
                None,
                event_id,
            )
        return self._commit(self._item(utterance))

    def clear(self) -> list[Document]:
        """The client has cleared the buffer."""
        self._items = {number: item for number, item in self._items.items() if item.committed}
        return [server_events.cleared()]

    def _stopped(self, event: SpeechStopped) -> list[Document]:
        item = self._item(event.utterance)
        if item.committed:  # by the client, which knows that the turn has ended
            return []
        return [server_events.speech_stopped(item.id, event.at), *self._commit(item)]

    def _final(self, event: Final) -> list[Document]:
        commit, item_id = self._end(event.utterance)
        segments = [server_events.segment(item_id, number, each) for number, each in enumerate(event.segments)]
        return [*commit, *segments, server_events.completed(item_id, event)]

    def _end(self, utterance: int) -> tuple[list[Document], str]:
        item = self._item(utterance)
        commit = [] if item.committed else self._commit(item)
        del self._items[utterance]
        return commit, item.id

    def _commit(self, item: _Item) -> list[Document]:
        item.committed = True
        previous, self._last = self._last, item.id
        kinds = ("created",) if self.is_beta else ("added", "done")
        return [
            server_events.committed(item.id, previous),
            *(server_events.item_event(kind, item.id, previous) for kind in kinds),
        ]

    def _item(self, utterance: int) -> _Item:
        return self._items.setdefault(utterance, _Item(self._new_id("item")))
