"""The two channels of a recording, transcribed apart: each has a speaker of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter
from transcription.core.options import Channel, TranscriptionRequest
from transcription.core.speakers import SpeakerOptions, Turn
from transcription.core.transcript import Notice, PlacedResult, Transcript
from transcription.media.media import Media
from transcription.pipeline.assemble import judged, prompt_notices
from transcription.pipeline.counted_samples import CountedSamples
from transcription.pipeline.merged_channels import merge_channels
from transcription.pipeline.speakers import labels_of

SIDES = (Channel.LEFT, Channel.RIGHT)


@dataclass(frozen=True, slots=True)
class Side:
    """A channel that is transcribed apart."""

    pcm: CountedSamples
    notices: list[Notice]
    results: AsyncGenerator[PlacedResult, None]
    placed: list[PlacedResult] = field(default_factory=list)


async def by_time(results: Sequence[AsyncGenerator[PlacedResult, None]]) -> AsyncIterator[tuple[int, PlacedResult]]:
    """The results of all generators by the start of their windows, each with the number of its generator."""
    heads = [await anext(each, None) for each in results]
    while waiting := [(head.timeline.start, number) for number, head in enumerate(heads) if head]:
        _, number = min(waiting)
        head = heads[number]
        assert head is not None
        yield number, head
        heads[number] = await anext(results[number], None)


def check_stereo(media: Media) -> None:
    """Raise InvalidParameter unless there are two channels to be transcribed apart."""
    if media.channels < len(SIDES):
        raise InvalidParameter(
            "The recording has one channel, so channel=split finds no speakers in it. Send diarize=true in its place.",
            parameter="channel",
        )


def merged(sides: Sequence[Side], request: TranscriptionRequest) -> Transcript:
    """The transcript of both channels, with a speaker each."""
    transcripts = [
        replace(
            judged(side.placed, request, side.pcm.samples / SAMPLE_RATE),
            notices=(*side.notices, *prompt_notices(side.placed)),
        )
        for side in sides
    ]
    turns = [Turn(0.0, 0.0, number) for number in range(len(sides))]  # labels in this order, no matter who speaks first
    prefix = (request.speakers or SpeakerOptions()).labels
    return merge_channels(transcripts, list(labels_of(turns, prefix).values()))
