"""The messages of WS /v1/listen: what clients may say, and what follows from the engine's events. Sends nothing."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from transcription.api.deepgram.parameters import ListenOptions
from transcription.api.deepgram.word_gaps import WordGaps
from transcription.api.errors import public_message
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.speakers import LABEL_PREFIX
from transcription.core.transcript import Word
from transcription.live.events import Failed, Final, LiveEvent, Partial, SpeechStarted, SpeechStopped
from transcription.live.options import PREFIX_PADDING_MS

Document = dict[str, Any]

TIME_DIGITS = 3
HELD_SECONDS = 3.0  # of confirmed text until it is sent as final, so that the last result of an utterance has text
CHANNELS = [0, 1]  # index, number
PUNCTUATION = " .,;:!?¿¡…。、，！？：；\"'()[]«»„“”‘’"
MAX_MESSAGE_CHARACTERS = 65_536


class Control(BaseModel):
    """A text frame of a client."""

    type: Literal["KeepAlive", "Finalize", "CloseStream"]


_CONTROL: TypeAdapter[Control] = TypeAdapter(Control)


def parse_control(text: str) -> Control:
    """Raises InvalidParameter."""
    try:
        return _CONTROL.validate_json(text[:MAX_MESSAGE_CHARACTERS], strict=True)
    except ValidationError:
        raise InvalidParameter(
            'A text frame must be {"type": "KeepAlive"}, {"type": "Finalize"} or {"type": "CloseStream"}. Audio is '
            "sent in binary frames."
        ) from None


class Results:
    """Follows one session. request_id: of the connection."""

    def __init__(self, options: ListenOptions, request_id: str) -> None:
        self._options = options
        self._request_id = request_id
        self._held: dict[int, list[Partial]] = {}  # by utterance: confirmed, and not yet sent as final
        self._answered = -1  # newest utterance of which everything was told
        self._finalized: set[int] = set()  # utterances whose last result answers Finalize
        self._gaps = None if options.utterance_end_ms is None else WordGaps(options.utterance_end_ms)

    def hear(self, event: LiveEvent) -> list[Document]:
        """The messages that follow from one of the engine's events."""
        match event:
            case SpeechStarted():
                return self._started(event)
            case SpeechStopped():
                return []
            case Partial():
                return self._partial(event)
            case Final():
                return self._final(event)
            case Failed():
                return self._failed(event)

    def finalize(self, latest: int) -> list[Document]:
        """The client wants what it has said as final. latest: the newest utterance, which has ended; see `LiveSession`.

        The last result of that utterance is the answer, even if a pause had ended it before: clients take the answer
        for the end of their text.
        """
        if latest <= self._answered:
            return [self._nothing_left()]
        self._finalized.add(latest)
        return []

    def listen(self, seconds: float, latest: int) -> list[Document]:
        """So much audio has been listened to. latest: the newest utterance in it; see `LiveSession`."""
        if self._gaps:
            self._gaps.listen(seconds, latest)
        return self._utterance_end()

    def closing(self, seconds: float) -> Document:
        """The last message. seconds: of audio."""
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": "",
            "created": "",
            "duration": round(seconds, TIME_DIGITS),
            "channels": 1,
        }

    def _partial(self, event: Partial) -> list[Document]:
        messages, held = [], self._held.setdefault(event.utterance, [])
        if event.confirmed:
            held.append(event)
            # Who speaks is known when the utterance has ended: its words are final then.
            waits = self._options.live.speakers or event.end - held[0].start <= HELD_SECONDS
            if len(held) > 1 and not waits:
                messages.append(self._send_held(held[:-1]))
                del held[:-1]
        if self._options.interim_results and (held or event.tentative):
            text = "".join(each.confirmed for each in held) + event.tentative
            start = held[0].start if held else event.start
            messages.append(self._result(text, _words(held), start, event.end, is_final=False))
        return messages

    def _send_held(self, held: list[Partial]) -> Document:
        text = "".join(each.confirmed for each in held)
        return self._result(text, _words(held), held[0].start, held[-1].end, is_final=True)

    def _final(self, event: Final) -> list[Document]:
        held = self._held.pop(event.utterance, [])
        words = event.words if self._options.live.speakers else _words(held)
        text = "".join(each.confirmed for each in held)
        from_finalize = self._answer(event.utterance, words[-1].end if words else None)
        result = self._result(
            text,
            words,
            held[0].start if held else event.start,
            event.end,
            is_final=True,
            speech_final=self._options.ends_speech,
            from_finalize=from_finalize,
        )
        return [result, *self._utterance_end()]

    def _failed(self, event: Failed) -> list[Document]:
        self._held.pop(event.utterance, None)
        answer = [self._nothing_left()] if self._answer(event.utterance, None) else []
        return [error_message(event.error), *answer, *self._utterance_end()]

    def _answer(self, utterance: int, last_word_end: float | None) -> bool:
        """Everything of an utterance is told. Returns whether that answers Finalize."""
        self._answered = utterance
        if self._gaps:
            self._gaps.finish(utterance, last_word_end)
        answers = utterance in self._finalized
        self._finalized.discard(utterance)
        return answers

    def _nothing_left(self) -> Document:
        """The answer to Finalize when there is no more text."""
        return self._result("", (), 0.0, 0.0, is_final=True, from_finalize=True)

    def _started(self, event: SpeechStarted) -> list[Document]:
        if self._gaps:
            self._gaps.start(event.utterance, event.at + PREFIX_PADDING_MS / 1000)
        messages = self._utterance_end()
        if self._options.vad_events:
            at = round(event.at, TIME_DIGITS)
            messages.append({"type": "SpeechStarted", "channel": CHANNELS, "timestamp": at})
        return messages

    def _utterance_end(self) -> list[Document]:
        last_word_end = self._gaps.take() if self._gaps else None
        if last_word_end is None:
            return []
        return [{"type": "UtteranceEnd", "channel": CHANNELS, "last_word_end": round(last_word_end, TIME_DIGITS)}]

    def _result(
        self,
        text: str,
        words: tuple[Word, ...],
        start: float,
        end: float,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Document:
        confidence = sum(word.probability for word in words) / len(words) if words else 0.0
        alternative = {
            "transcript": text.strip(),
            "confidence": round(confidence, TIME_DIGITS),
            "words": [_word(word) for word in words],
        }
        return {
            "type": "Results",
            "channel_index": CHANNELS,
            "duration": round(end - start, TIME_DIGITS),
            "start": round(start, TIME_DIGITS),
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self._request_id,
                "model_info": {"name": self._options.live.decode.model, "version": "", "arch": "whisper"},
                "model_uuid": "",
            },
        }


def error_message(error: TranscriptionError) -> Document:
    """An error; the session goes on."""
    return {
        "type": "Error",
        "variant": error.code,
        "description": public_message(error),
        "message": public_message(error),
    }


def _words(parts: list[Partial]) -> tuple[Word, ...]:
    return tuple(word for part in parts for word in part.words)


def _word(word: Word) -> Document:
    plain = word.text.strip()
    return {
        "word": plain.strip(PUNCTUATION).lower() or plain,
        "punctuated_word": plain,
        "start": round(word.start, TIME_DIGITS),
        "end": round(word.end, TIME_DIGITS),
        "confidence": round(word.probability, TIME_DIGITS),
        **({} if word.speaker is None else {"speaker": int(word.speaker.removeprefix(LABEL_PREFIX))}),
    }
