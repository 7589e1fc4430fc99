"""Divides a window where the language changes. Whisper writes a window in one language, whatever is spoken in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from transcription.core.audio import SAMPLE_RATE, Span, Timeline, Window
from transcription.core.languages import CERTAIN
from transcription.core.transcript import WindowResult
from transcription.media.windows import clip

PAUSE_SAMPLES = 3 * SAMPLE_RATE // 10  # shortest pause in which the language may change
LEAST_VOICE_SAMPLES = 4 * SAMPLE_RATE // 5  # fewest samples with a voice that tell a language
PADDING_SAMPLES = SAMPLE_RATE // 5  # of silence before the first voice
# As much of a part is heard to detect its language. The shortest context of the encoder has room for it.
HEARD_SAMPLES = 6 * SAMPLE_RATE


def parts_between_pauses(window: Window) -> list[Window]:
    """The window, divided at its longest pauses into parts that are long enough to detect their languages."""
    voice = window.voice or ()
    pauses = [Span(before.end, after.start - before.end) for before, after in pairwise(voice)]
    borders: list[int] = []
    for pause in sorted(pauses, key=lambda each: each.length, reverse=True):
        if pause.length < PAUSE_SAMPLES:
            break
        more = sorted([*borders, pause.start + pause.length // 2])
        if all(_voiced(part) >= LEAST_VOICE_SAMPLES for part in divided(window, more)):
            borders = more
    return divided(window, borders)


def beginning(part: Window) -> Window:
    """As much of a part as is needed to detect its language, from its first voice on."""
    start = part.voice[0].start - PADDING_SAMPLES if part.voice else 0
    if start > part.timeline.spans[0].start:
        part = divided(part, [start])[-1]
    if len(part.samples) <= HEARD_SAMPLES:
        return part
    spans, left = [], HEARD_SAMPLES
    for span in part.timeline.spans:
        if left > 0:
            spans.append(Span(span.start, min(span.length, left)))
        left -= span.length
    return Window(part.samples[:HEARD_SAMPLES], Timeline(tuple(spans)))


def parts_in_one_language(window: Window, parts: Sequence[Window], heard: Sequence[WindowResult]) -> list[Window]:
    """The window, divided where neighbouring parts are in different languages.

    heard: the language of each part. One that is not likely counts as that of the part before, or at the start as the
        first likely one.
    """
    sure = [each.language if each.language_probability >= CERTAIN else None for each in heard]
    known = next((language for language in sure if language), None)
    borders: list[int] = []
    for part, language in zip(parts, sure, strict=True):
        if language and language != known:
            borders.append(part.timeline.spans[0].start)
            known = language
    return divided(window, borders)


def divided(window: Window, borders: Sequence[int]) -> list[Window]:
    """The parts of a window between the borders, in samples of the file, in order. None of them is empty."""
    spans = window.timeline.spans
    edges = [spans[0].start, *borders, spans[-1].end]
    parts, position = [], 0
    for start, end in pairwise(edges):
        within = Span(start, end - start)
        timeline = Timeline(tuple(clip(spans, within)))
        samples = window.samples[position : position + timeline.length]
        position += timeline.length
        parts.append(Window(samples, timeline, _within(window.speech, within), _within(window.voice, within)))
    return parts


def _within(spans: Sequence[Span] | None, part: Span) -> tuple[Span, ...] | None:
    return None if spans is None else tuple(clip(spans, part))


def _voiced(part: Window) -> int:
    return sum(span.length for span in part.voice or ())
