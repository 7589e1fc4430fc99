"""Keeps the times of segments and words in order: inside their window and the audio, without overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from transcription.core.audio import Timeline
from transcription.core.transcript import Segment

Interval = tuple[float, float]  # start and end, seconds


def in_order(windows: Sequence[tuple[Timeline, Sequence[Segment]]], duration: float) -> list[Segment]:
    """The segments of all windows, with times that never go back, overlap, or leave their window or the audio.

    windows: in file order, with their segments in file time and in the order of the text. duration: of the audio,
    seconds. Segments and their words keep their order; one for which there is no time left has a duration of 0.
    """
    segments = [segment for _, group in windows for segment in group]
    limits = [_limits(timeline, duration) for timeline, group in windows for _ in group]
    # The smallest timed units: words, and segments without words.
    units: list[Interval] = []
    for segment, limit in zip(segments, limits, strict=True):
        units += [_clamped((unit.start, unit.end), limit) for unit in segment.words or (segment,)]
    times = iter(without_overlap(units))
    return [_timed(segment, [next(times) for _ in segment.words or (segment,)]) for segment in segments]


def without_overlap(intervals: Sequence[Interval]) -> list[Interval]:
    """The intervals in the same order, each starting where or after the one before ends.

    An interval ends where the next one starts. If that is not after its own start, the next one starts where it ends,
    or in its middle.
    """
    ordered: list[Interval] = []
    for start, end in intervals:
        if ordered and start < ordered[-1][1]:
            before, before_end = ordered[-1]
            border = _border((before, before_end), (start, end))
            # Inside the one before: they share its time.
            end = max(end, before_end if start <= before else border)
            start, ordered[-1] = border, (before, border)
        ordered.append((start, end))
    return ordered


def _border(before: Interval, after: Interval) -> float:
    if after[0] > before[0]:
        return after[0]
    return before[1] if after[1] > before[1] else (before[0] + before[1]) / 2


def _limits(timeline: Timeline, duration: float) -> Interval:
    end = min(timeline.end, duration)
    return min(timeline.start, end), end


def _clamped(interval: Interval, limits: Interval) -> Interval:
    first, last = limits
    start = min(max(interval[0], first), last)
    return start, min(max(interval[1], start), last)


def _timed(segment: Segment, times: Sequence[Interval]) -> Segment:
    if segment.words:
        words = tuple(
            replace(word, start=start, end=end) for word, (start, end) in zip(segment.words, times, strict=True)
        )
        segment = replace(segment, words=words)
    return replace(segment, start=times[0][0], end=times[-1][1])
