"""Merges the transcripts of the channels of a recording, with one speaker a channel."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transcription.core.speakers import Turn
from transcription.core.transcript import Segment, Transcript
from transcription.pipeline.presence import Stretch, presences, together
from transcription.pipeline.speakers import can_be_cut, cut, follow, speakers_of, spoken_by, with_overlap

Piece = tuple[Segment, int, int]  # of a segment, with the channel and the number of that segment


def merge_channels(transcripts: Sequence[Transcript], labels: Sequence[str]) -> Transcript:
    """One transcript of all channels, its segments ordered by their start.

    transcripts: of the channels, at least one, all of the same model, task and options. labels: of their speakers.
    A segment is cut, if it has words, where all of a segment of another channel lies inside it: an interjection is
    read where it was said, not after the sentence that it interrupts. The language is that of the channel with most
    speech. `processing_time` is that of the slowest channel.
    """
    labelled = [
        [spoken_by(segment, label) for segment in each.segments]
        for each, label in zip(transcripts, labels, strict=True)
    ]
    turns = [Turn(segment.start, segment.end, channel) for channel, spoken in enumerate(labelled) for segment in spoken]
    names = dict(enumerate(labels))
    pieces = sorted(_pieces(labelled, turns), key=lambda piece: piece[0].start)
    segments = with_overlap([segment for segment, *_ in pieces], together(presences(turns, names).values()))
    places: dict[tuple[int, int], list[int]] = {}
    for place, (_, channel, number) in enumerate(pieces):
        places.setdefault((channel, number), []).append(place)
    warnings = [
        warning
        for channel, each in enumerate(transcripts)
        for warning in follow(
            each.warnings, [places[channel, number] for number in range(len(each.segments))], segments
        )
    ]
    seconds = [sum(turn.end - turn.start for turn in turns if turn.speaker == channel) for channel in names]
    return replace(
        transcripts[seconds.index(max(seconds))],
        duration=max(each.duration for each in transcripts),
        segments=tuple(segments),
        processing_time=max(each.processing_time for each in transcripts),
        warnings=tuple(sorted(warnings, key=lambda warning: warning.start)),
        notices=tuple(dict.fromkeys(notice for each in transcripts for notice in each.notices)),
        speakers=speakers_of(turns, names),
    )


def _pieces(channels: Sequence[Sequence[Segment]], turns: Sequence[Turn]) -> Iterator[Piece]:
    for channel, segments in enumerate(channels):
        others = sorted((turn.start, turn.end) for turn in turns if turn.speaker != channel)
        for number, segment in enumerate(segments):
            for part in _cut_by(segment, others):
                yield part, channel, number


def _cut_by(segment: Segment, others: Sequence[Stretch]) -> list[Segment]:
    """The segment, cut before the first word after the start of each stretch inside it. others: ordered."""
    if not can_be_cut(segment):
        return [segment]
    first = bisect_right(others, (segment.start, float("inf")))
    last = bisect_left(others, (segment.end,))
    inside = [start for start, end in others[first:last] if end < segment.end]
    starts = [word.start for word in segment.words]
    borders = {bisect_left(starts, start) for start in inside}
    return cut(segment, sorted(borders - {0, len(starts)}))
