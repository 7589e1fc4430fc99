"""From the tokens of a decode to segments, with or without the times of their words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ctranslate2
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import WhisperModel
from faster_whisper.utils import get_end

from runners.decode.rules import Attempt, Cut, Split, early_end, split_segments
from runners.decode.tokenizers import Tokenizers
from transcription.core.audio import FRAMES_PER_SECOND
from transcription.core.transcript import Segment, Word

# Marks that belong to the following and to the preceding word; faster-whisper's defaults.
PREPENDED_MARKS = "\"'“¿([{-"
APPENDED_MARKS = "\"'.。,，!！?？:：”)]}、"

# A sampled decode stops anywhere. What it leaves is decoded by itself, if it read this much: noise would take one
# decode for each sound that is taken for a word.
FEWEST_FRAMES_READ = 3 * FRAMES_PER_SECOND

TimedCut = tuple[Cut, tuple[Word, ...]]


class Segmenter:
    """Makes segments from the decodes of one model. seek: where the decoded part starts, frames; frames: its length."""

    def __init__(self, whisper: WhisperModel, tokenizers: Tokenizers) -> None:
        self._whisper = whisper
        self._tokenizers = tokenizers
        self._seconds_per_frame: float = whisper.feature_extractor.time_per_frame

    def split(self, attempt: Attempt, seek: int, frames: int) -> Split:
        """The decode cut at its timestamps. After a sampled one, `next_seek` may be earlier than in Whisper."""
        timestamp_begin = self._tokenizers.timestamp_begin
        split = split_segments(
            attempt.tokens,
            timestamp_begin=timestamp_begin,
            time_offset=seek * self._seconds_per_frame,
            frames=frames,
            duration=frames * self._seconds_per_frame,
            seek=seek,
        )
        end = early_end(attempt.tokens, frames, timestamp_begin)
        if attempt.temperature > 0 and end is not None and end >= FEWEST_FRAMES_READ:
            return replace(split, next_seek=seek + end)
        return split

    def time_words(
        self,
        cuts: Sequence[Cut],
        tokenizer: Tokenizer,
        encoded: ctranslate2.StorageView,
        seek: int,
        frames: int,
        last_speech: float,
    ) -> tuple[list[TimedCut], float]:
        """The cuts with their words, tightened around them, and the end of the last word, seconds.

        encoded: the encoder's output for this part alone. last_speech: end of the last word before it, seconds.
        """
        segments: list[dict[str, Any]] = [
            {"seek": seek, "start": cut.start, "end": cut.end, "tokens": list(cut.tokens)} for cut in cuts
        ]
        self._whisper.add_word_timestamps(
            [segments], tokenizer, encoded, frames, PREPENDED_MARKS, APPENDED_MARKS, last_speech
        )
        timed = [
            (replace(cut, start=float(item["start"]), end=float(item["end"])), _words(item["words"]))
            for cut, item in zip(cuts, segments, strict=True)
        ]
        last_word_end = get_end(segments)
        return timed, last_speech if last_word_end is None else last_word_end

    def segments(
        self, cuts: Sequence[Cut], timed: Sequence[TimedCut], attempt: Attempt, seek: int
    ) -> Iterator[Segment]:
        """Segments that have text and, as decoded, a duration. timed: the same cuts, with the times of their words."""
        for cut, (tightened, words) in zip(cuts, timed, strict=True):
            text = self._tokenizers.text(cut.tokens)
            if cut.start != cut.end and text.strip():
                yield _segment(tightened, text, words, attempt, seek)


def untimed(cuts: Sequence[Cut]) -> list[TimedCut]:
    """The cuts without the times of words."""
    return [(cut, ()) for cut in cuts]


def lasting(timed: Sequence[TimedCut], cuts: Sequence[Cut]) -> list[TimedCut]:
    """The timed cuts; as decoded, without words, where the alignment gave the words no duration."""
    return [
        (tightened, words) if tightened.start < tightened.end else (cut, ())
        for (tightened, words), cut in zip(timed, cuts, strict=True)
    ]


def _segment(cut: Cut, text: str, words: tuple[Word, ...], attempt: Attempt, seek: int) -> Segment:
    return Segment(
        start=cut.start,
        end=cut.end,
        text=text,
        tokens=cut.tokens,
        avg_logprob=attempt.avg_logprob,
        compression_ratio=attempt.compression_ratio,
        no_speech_prob=attempt.no_speech_prob,
        temperature=attempt.temperature,
        seek=seek,
        words=words,
    )


def _words(words: Sequence[dict[str, Any]]) -> tuple[Word, ...]:
    return tuple(
        Word(item["word"], float(item["start"]), float(item["end"]), float(item["probability"])) for item in words
    )
