"""Whisper's decisions about tokens and scores, as pure functions.

The same rules as `faster_whisper.WhisperModel`, taken out of its loops so that they can be applied to every window
of a batch, and tested against the original.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcription.core.audio import FRAMES_PER_SECOND, FRAMES_PER_TIMESTAMP
from transcription.core.options import DecodeOptions

TIME_PRECISION = 0.02  # seconds between two timestamp tokens
TINY = 1e-9  # in place of a sum of probabilities that is 0
# A decode that says no speech follows, this long before the end of its part, may have missed some: parts consist of
# speech with pauses of at most two seconds, unless voice activity detection is off.
EARLY_END_FRAMES = 3 * FRAMES_PER_SECOND
HOPELESS = 0.4  # the temperature from which on hardly a decode passes
FEWEST_ON_A_GRID = 3  # segments of equal length in a decode; two are chance


@dataclass(frozen=True, slots=True)
class Attempt:
    """One decode of one window at one temperature.

    tokens: without the prompt and the end of text.
    avg_logprob: mean over the tokens and the end of text.
    """

    tokens: tuple[int, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of tokens between two timestamps. start, end: seconds."""

    start: float
    end: float
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Tokens of one decode, cut into segments.

    next_seek: frame at which the next decode starts.
    single_ending: the last timestamp stands alone, which means that no speech follows.
    """

    cuts: tuple[Cut, ...]
    next_seek: int
    single_ending: bool


def average_logprob(score: float, length: int) -> float:
    """Mean log-probability from CTranslate2's score, which is already divided by the length without end of text."""
    return score * length / (length + 1)


def likeliest(ranked: Sequence[tuple[str, float]], languages: Sequence[str]) -> tuple[str, float]:
    """The most probable language, and its probability among `languages`, or among all if that is empty.

    ranked: every language that the model knows with its probability, best first, never empty.
    """
    among = [(code, probability) for code, probability in ranked if not languages or code in languages]
    if not among:  # the model was not trained on any of them, but the request says that it is one of them
        return languages[0], 0.0
    code, probability = among[0]
    return code, probability if not languages else probability / max(sum(each for _, each in among), TINY)


def needs_fallback(attempt: Attempt, options: DecodeOptions) -> bool:
    """Whether the window must be decoded again at the next temperature."""
    unlikely = attempt.avg_logprob < options.log_prob_threshold
    if unlikely and attempt.no_speech_prob > options.no_speech_threshold:
        return False  # silence, at any temperature
    return unlikely or attempt.compression_ratio > options.compression_ratio_threshold


def choose_best(attempts: Sequence[Attempt], options: DecodeOptions) -> Attempt:
    """The most probable of attempts that all failed, preferring those that do not repeat themselves.

    attempts: in the order they were made, never empty. The result carries the last temperature tried, as Whisper
    reports it.
    """
    varied = [a for a in attempts if a.compression_ratio <= options.compression_ratio_threshold]
    best = max(varied or attempts, key=lambda attempt: attempt.avg_logprob)
    return replace(best, temperature=attempts[-1].temperature)


def is_exhausted(attempts: Sequence[Attempt], options: DecodeOptions) -> bool:
    """Whether higher temperatures are hopeless: the latest of attempts that failed is no likelier than one before it.

    attempts: in the order they were made, never empty. Not below HOPELESS, and loops do not count.
    """
    *before, latest = attempts
    if latest.temperature < HOPELESS or latest.compression_ratio > options.compression_ratio_threshold:
        return False
    varied = [a.avg_logprob for a in before if a.compression_ratio <= options.compression_ratio_threshold]
    return latest.avg_logprob <= max(varied, default=-math.inf)


def should_skip(attempt: Attempt, options: DecodeOptions, short_rest: bool = False) -> bool:
    """Whether a part has no speech: the model says so, and is not confident of the words either.

    short_rest: little is left of the window after a decode. The words do not count then: "Thank you." fits anywhere.
    """
    confident = attempt.avg_logprob > options.log_prob_threshold and not short_rest
    return attempt.no_speech_prob > options.no_speech_threshold and not confident


def early_end(tokens: Sequence[int], frames: int, timestamp_begin: int) -> int | None:
    """The frame after which no speech follows, says a decode that leaves more than a pause of its part unread.

    frames: length of the part. None if the decode reads all of it, or has no last timestamp.
    """
    if not _has_single_ending(tokens, timestamp_begin):
        return None
    end = (tokens[-1] - timestamp_begin) * FRAMES_PER_TIMESTAMP
    return end if frames - end > EARLY_END_FRAMES else None


def count_text(tokens: Sequence[int], timestamp_begin: int) -> int:
    """The number of tokens that are not timestamps."""
    return sum(token < timestamp_begin for token in tokens)


def read_frames(tokens: Sequence[int], frames: int, timestamp_begin: int) -> int:
    """How far a decode has read: the last timestamp that it has, or all of its part. frames: length of the part."""
    last = next((token for token in reversed(tokens) if token > timestamp_begin), None)
    return frames if last is None else min(frames, (last - timestamp_begin) * FRAMES_PER_TIMESTAMP)


def split_segments(
    tokens: Sequence[int], *, timestamp_begin: int, time_offset: float, frames: int, duration: float, seek: int
) -> Split:
    """Cut the tokens of one decode at pairs of timestamps.

    timestamp_begin: id of <|0.00|>; every id from there on is a timestamp.
    time_offset: where the decoded part starts, seconds; seek: the same in frames.
    frames, duration: length of the decoded part.
    """
    single_ending = _has_single_ending(tokens, timestamp_begin)
    ends = [i for i in range(1, len(tokens)) if tokens[i] >= timestamp_begin and tokens[i - 1] >= timestamp_begin]
    if not ends:
        return _one_segment(tokens, timestamp_begin, time_offset, frames, duration, seek)
    if single_ending:
        ends.append(len(tokens))

    cuts = []
    for first, end in zip([0, *ends], ends, strict=False):
        part = tuple(tokens[first:end])
        start_time = time_offset + (part[0] - timestamp_begin) * TIME_PRECISION
        end_time = time_offset + (part[-1] - timestamp_begin) * TIME_PRECISION
        cuts.append(Cut(start_time, end_time, part))
    if single_ending:
        return Split(tuple(cuts), seek + frames, single_ending)
    # A sentence without an end was cut off by the window: decode again from the last end that is known.
    last = tokens[ends[-1] - 1] - timestamp_begin
    return Split(tuple(cuts), seek + last * FRAMES_PER_TIMESTAMP, single_ending)


def runs_on(tokens: Sequence[int], frames: int, timestamp_begin: int) -> bool:
    """Whether a decode goes on after its part: more of a segment than not is behind the part's end.

    On a short context Whisper may say the last sentence again and again in the silence there. The first segment does
    not count: that of a single word may be several times as long as the part. frames: length of the part.
    """
    seconds = frames / FRAMES_PER_SECOND
    split = split_segments(
        tokens, timestamp_begin=timestamp_begin, time_offset=0.0, frames=frames, duration=seconds, seek=0
    )
    return any(cut.start + cut.end > 2 * seconds for cut in split.cuts[1:])


def _one_segment(
    tokens: Sequence[int], timestamp_begin: int, time_offset: float, frames: int, duration: float, seek: int
) -> Split:
    single_ending = _has_single_ending(tokens, timestamp_begin)
    timestamps = [token for token in tokens if token >= timestamp_begin]
    if timestamps and timestamps[-1] != timestamp_begin:
        duration = (timestamps[-1] - timestamp_begin) * TIME_PRECISION
    cut = Cut(time_offset, time_offset + duration, tuple(tokens))
    return Split((cut,), seek + frames, single_ending)


def _has_single_ending(tokens: Sequence[int], timestamp_begin: int) -> bool:
    return len(tokens) >= 2 and tokens[-2] < timestamp_begin <= tokens[-1]


def on_a_grid(cuts: Sequence[Cut]) -> bool:
    """Whether the timestamps of a decode are invented: at least half of its segments have the same length.

    So it is with single words and long pauses, each of which gets one or two seconds. Times of speech are finer.
    """
    lengths = Counter(round((cut.end - cut.start) / TIME_PRECISION) for cut in cuts)
    equal = max(lengths.values(), default=0)
    return equal >= FEWEST_ON_A_GRID and 2 * equal >= len(cuts)
