"""Assembles the results of windows into one transcript in file time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace

from transcription.core.audio import FRAMES_PER_SECOND, Timeline
from transcription.core.languages import UNDETERMINED
from transcription.core.options import TranscriptionRequest
from transcription.core.transcript import PROMPT_CUT, Concern, Notice, PlacedResult, Segment, Transcript, Word
from transcription.media.voice_activity import Activity
from transcription.media.windows import join_spans
from transcription.pipeline.hallucinations import judge
from transcription.pipeline.onsets import snapped
from transcription.pipeline.order import in_order
from transcription.pipeline.scripts import segment_in_script, transcript_in_script

JUDGED_TOGETHER = 4  # windows of a draft, two minutes; loops of the decoder repeat within less


def judged(placed: Sequence[PlacedResult], request: TranscriptionRequest, duration: float) -> Transcript:
    """The transcript of window results in file order, without hallucinations, with times at the edges of the voice.

    duration: of the file, in seconds.
    """
    transcript = assemble(placed, request, duration)
    windows = [(item.timeline, [place(each, item.timeline) for each in item.result.unspoken]) for item in placed]
    unspoken = in_order(windows, duration)
    # By the model's times: a segment that was moved to the only moment of voice under it would look like a spoken one.
    # As decoded, too: the script must not change which segments are dropped.
    kept = judge(transcript, unspoken, activity_of(placed), request.decode, request.hallucinations)
    timed = with_voice_times(kept, placed)
    segments = tuple(_with_wanted_words(segment, request) for segment in timed.segments)
    return transcript_in_script(replace(timed, segments=segments), request.script)


def activity_of(placed: Sequence[PlacedResult]) -> Activity | None:
    """The speech in all windows, in samples of the file; None without voice activity detection."""
    stretches = join_spans(item.speech for item in placed)
    voice = join_spans(item.voice for item in placed)
    return None if stretches is None or voice is None else Activity(stretches, voice)


def with_voice_times(transcript: Transcript, placed: Sequence[PlacedResult]) -> Transcript:
    """The transcript with times moved to the edges of the voice in each window."""
    groups: list[list[Segment]] = [[] for _ in placed]
    starts = [item.timeline.start for item in placed]
    for segment in transcript.segments:
        groups[bisect_right(starts, segment.start) - 1].append(segment)
    windows = [(item.timeline, snapped(group, item.voice)) for item, group in zip(placed, groups, strict=True)]
    segments = tuple(in_order(windows, transcript.duration))
    warnings = tuple(_at_its_segment(concern, segments) for concern in transcript.warnings)
    return replace(transcript, segments=segments, warnings=warnings)


def _at_its_segment(concern: Concern, segments: Sequence[Segment]) -> Concern:
    if concern.segment is None:
        return concern
    segment = segments[concern.segment]
    return replace(concern, start=segment.start, end=segment.end)


class Draft:
    """A growing transcript for streaming clients. Segments that were returned once are never withdrawn.

    Each window is judged together with the few before it, which bounds the work. The final transcript is judged as a
    whole and may differ from the draft.
    """

    def __init__(self, request: TranscriptionRequest) -> None:
        self._request = request
        # By channel
        self._placed: defaultdict[int, deque[PlacedResult]] = defaultdict(lambda: deque(maxlen=JUDGED_TOGETHER))
        self._segments: dict[int, Sequence[Segment]] = {}

    def add(self, placed: PlacedResult) -> list[Segment]:
        """Add the result of the next window, and return the new segments."""
        windows, start = self._placed[placed.channel], placed.timeline.start
        windows.append(placed)
        # Segments without duration at the end of the window before, which were returned with it.
        returned = sum(segment.start >= start for segment in self._segments.get(placed.channel, ()))
        segments = judged(list(windows), self._request, placed.timeline.end).segments
        self._segments[placed.channel] = segments
        return [segment for segment in segments if segment.start >= start][returned:]


def assemble(placed: Sequence[PlacedResult], request: TranscriptionRequest, duration: float) -> Transcript:
    """The transcript of window results in file order, in file time, with the model's times.

    duration: seconds of decoded audio.
    """
    options = request.decode
    segments = in_order([_placed_segments(item) for item in placed], duration)
    language, probability = options.language or UNDETERMINED, 1.0 if options.language else 0.0
    if placed:
        language, probability = main_language(placed if request.multilingual else _with_language(placed)[:1])
    return Transcript(
        language=language,
        language_probability=probability,
        duration=duration,
        segments=tuple(segments),
        model=options.model,
        task=options.task,
        word_timestamps=options.word_timestamps,
    )


def segments_of(placed: PlacedResult, request: TranscriptionRequest) -> list[Segment]:
    """The segments of one window, in file time, as they will be in the transcript unless they are judged."""
    timeline = placed.timeline
    segments = in_order([_placed_segments(placed)], timeline.end)
    timed = in_order([(timeline, snapped(segments, placed.voice))], timeline.end)
    wanted = [_with_wanted_words(segment, request) for segment in timed]
    return [segment_in_script(segment, placed.result.language, request.script) for segment in wanted]


def _with_wanted_words(segment: Segment, request: TranscriptionRequest) -> Segment:
    """The segment without words that only served its own times."""
    return segment if request.decoded_with.word_timestamps else replace(segment, words=())


def _placed_segments(placed: PlacedResult) -> tuple[Timeline, list[Segment]]:
    return placed.timeline, [place(segment, placed.timeline) for segment in placed.result.segments]


def main_language(placed: Sequence[PlacedResult]) -> tuple[str, float]:
    """The language spoken longest (of two equal ones the earlier), and the mean probability of its windows, 0 to 1.

    placed: not empty; each window with the language detected in it.
    """
    placed = _with_language(placed)
    # Windows are weighted by their speech, because the language of silence is a guess. Without detected speech, or
    # without voice activity detection, they are weighted by their length.
    spoken = [sum(span.length for span in item.speech or ()) for item in placed]
    weights = spoken if any(spoken) else [item.timeline.length for item in placed]
    totals: dict[str, int] = {}
    certainty: dict[str, float] = {}
    for item, weight in zip(placed, weights, strict=True):
        language = item.result.language
        totals[language] = totals.get(language, 0) + weight
        certainty[language] = certainty.get(language, 0.0) + weight * item.result.language_probability
    longest = max(totals, key=lambda language: totals[language])
    return longest, certainty[longest] / totals[longest]


def _with_language(placed: Sequence[PlacedResult]) -> Sequence[PlacedResult]:
    """The windows that have a language; all, if none has, because there is nothing but digital silence."""
    return [item for item in placed if item.result.language_probability] or placed


def prompt_notices(placed: Sequence[PlacedResult]) -> list[Notice]:
    """The notice that the prompt was cut, if it was."""
    if not any(item.result.prompt_cut for item in placed):
        return []
    message = (
        "The prompt and the hotwords together are longer than half of what the model can read. The first hotwords were "
        "used, and the end of the prompt as far as there was room beside them. Shorten them."
    )
    return [Notice(PROMPT_CUT, message)]


def place(segment: Segment, timeline: Timeline) -> Segment:
    """Convert a segment from window time to file time, as faster-whisper does after voice activity detection."""
    seek = segment.seek + round(timeline.start * FRAMES_PER_SECOND)
    if not segment.words:
        start = timeline.file_time(segment.start)
        end = timeline.file_time(segment.end, is_end=True)
        return replace(segment, start=start, end=end, seek=seek)
    words = tuple(_place_word(word, timeline) for word in segment.words)
    return replace(segment, start=words[0].start, end=words[-1].end, words=words, seek=seek)


def _place_word(word: Word, timeline: Timeline) -> Word:
    # A word never spans a cut silence: both ends are placed in the span of its middle.
    span = timeline.span_at((word.start + word.end) / 2)
    return replace(word, start=timeline.file_time(word.start, span=span), end=timeline.file_time(word.end, span=span))
