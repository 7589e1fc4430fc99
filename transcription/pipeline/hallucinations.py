"""Which segments nobody seems to have said. Decides only, from what the decoder and voice activity detection report.

Four rules, the first that fits names the reason. Each wants two witnesses against a segment, because each witness
alone also speaks against real people: a chorus repeats itself, quiet speech is uncertain, singing is no speech to
Silero. A fifth rule is Whisper's own: what the decoder left out, because it hears no speech and is not sure of the
words, is listed too. The decoder's figures are those of the whole decode that a segment comes from, not of the segment
alone.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.options import DecodeOptions, HallucinationPolicy
from transcription.core.text import compression_ratio
from transcription.core.transcript import Action, Concern, Reason, Segment, Transcript

# How often a phrase may come in a row before what follows is surplus, by its number of words; longer ones as the last.
# People say "no" eight times and sing a line four times. A decoder that is stuck goes on to its 224th token.
MOST_REPEATS = {1: 8, 2: 5, 3: 4}
# Words in the longest phrase that is looked for: two lines of a song. Loops of the decoder are a sentence at most, and
# what repeats after a longer time (prayers, jingles) is rarely one.
LONGEST_PHRASE = 20
# A segment goes when more than this share of its words is surplus: text is never edited, so what is left counts.
MOST_SURPLUS = 0.5

# Mean log-probability of a token at which the model thinks its words as likely wrong as right. Whisper's own
# threshold, -1.0, is lower because all it decides is whether to try again.
EVEN_CHANCE = math.log(0.5)  # -0.69
# What clean speech reaches. Asked of words where the model itself hears no speech: "Thanks for watching" in silence is
# reported with a better than even chance, but below this, and with a no_speech_prob above Whisper's threshold of 0.6.
CLEAR_WORDS = math.log(0.7)  # -0.36
# Below log_prob_threshold by this much after every temperature: tokens 40 % less probable than where Whisper gives up.
FAR_BELOW = 0.5
# Of no_speech_threshold. Above the whole threshold the decoder drops the window itself (Whisper's paper, section 4.5),
# and speech that is understood, however quiet, does not get below FAR_BELOW.
LIKELY_SILENT = 0.5

# Voice shorter than this under a segment is none: Silero's frames are 32 ms and a click may fill one; a syllable takes
# 150 ms or more. Not a share, because Whisper's segments may span long pauses around one word.
NEARLY_NONE = 0.1  # seconds
BRIEF = 0.5  # for segments shorter than 0.2 s: this share of them

# Thai to Burmese, Khmer, kana, Han: scripts that put no spaces between words. Each character counts as a word.
UNSPACED = re.compile(r"([\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff])")
NOT_IN_WORDS = frozenset("PSZC")  # Unicode's categories of punctuation, symbols, separators, control characters


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condemned segment. index: in the list that was judged."""

    index: int
    reason: Reason


def judge(
    transcript: Transcript,
    unspoken: Sequence[Segment],
    speech: Sequence[Span] | None,
    options: DecodeOptions,
    policy: HallucinationPolicy,
) -> Transcript:
    """The transcript after the policy: condemned segments dropped or kept, and listed under `warnings`.

    unspoken: segments in file time that the decoder left out, because it hears no speech there. speech: see `condemn`.
    """
    if policy is HallucinationPolicy.KEEP:
        return transcript
    reasons = {verdict.index: verdict.reason for verdict in condemn(transcript.segments, speech, options)}
    judged: list[tuple[Segment, Reason | None]] = [
        (segment, reasons.get(index)) for index, segment in enumerate(transcript.segments)
    ]
    if unspoken:
        judged += [(segment, Reason.NO_SPEECH) for segment in unspoken]
        judged.sort(key=lambda item: item[0].start)
    kept: list[Segment] = []
    concerns = []
    for segment, reason in judged:
        dropped = reason is not None and policy is HallucinationPolicy.DROP
        if reason is not None:
            concerns.append(_concern(segment, reason, None if dropped else len(kept)))
        if not dropped:
            kept.append(segment)
    return replace(transcript, segments=tuple(kept), warnings=tuple(concerns))


def condemn(segments: Sequence[Segment], speech: Sequence[Span] | None, options: DecodeOptions) -> list[Verdict]:
    """Segments of one file that are taken for hallucinations, in order.

    segments: in file time. speech: where Silero hears a voice, without padding, in order, in samples of the file; None
    when nobody listened. options: those that the segments were decoded with, for their thresholds.
    """
    surplus = surplus_shares(segments)
    voices = [None] * len(segments) if speech is None else voiced_seconds(segments, speech)
    verdicts = []
    for index, (segment, share, voice) in enumerate(zip(segments, surplus, voices, strict=True)):
        reason = _reason(segment, share, _is_voiceless(segment, voice), options)
        if reason:
            verdicts.append(Verdict(index, reason))
    return verdicts


def _reason(segment: Segment, surplus: float, voiceless: bool, options: DecodeOptions) -> Reason | None:
    looping = segment.compression_ratio > options.compression_ratio_threshold  # at every temperature
    unsure = _is_unsure(segment, options)
    # Windows are decoded without knowledge of each other. The same words in several good decodes over a voice are
    # what somebody says again and again.
    if surplus > MOST_SURPLUS and (looping or unsure or voiceless):
        return Reason.REPETITION
    # A chorus makes a decode compressible, too, but its lines are segments that are not.
    if looping and (
        compression_ratio(segment.text.strip()) > options.compression_ratio_threshold
        or segment.avg_logprob < options.log_prob_threshold
    ):
        return Reason.COMPRESSION_RATIO
    if voiceless and unsure:
        return Reason.NO_VOICE
    hopeless = segment.avg_logprob < options.log_prob_threshold - FAR_BELOW
    if hopeless and segment.no_speech_prob > options.no_speech_threshold * LIKELY_SILENT:
        return Reason.LOW_CONFIDENCE
    return None


def _is_unsure(segment: Segment, options: DecodeOptions) -> bool:
    """Whether the model doubts its words."""
    hears_nobody = segment.no_speech_prob > options.no_speech_threshold
    return segment.avg_logprob < (CLEAR_WORDS if hears_nobody else EVEN_CHANCE)


def _is_voiceless(segment: Segment, voice: float | None) -> bool:
    """Whether (nearly) no voice was heard under a segment. voice: seconds, None when nobody listened."""
    return voice is not None and voice < min(NEARLY_NONE, BRIEF * (segment.end - segment.start))


def voiced_seconds(segments: Sequence[Segment], speech: Sequence[Span]) -> list[float]:
    """Seconds of speech under each segment."""
    ends = [span.end for span in speech]
    return [_voiced_seconds(segment, speech, ends) for segment in segments]


def _voiced_seconds(segment: Segment, speech: Sequence[Span], ends: Sequence[int]) -> float:
    start, end = segment.start * SAMPLE_RATE, segment.end * SAMPLE_RATE
    samples = 0.0
    for span in islice(speech, bisect_right(ends, start), None):
        if span.start >= end:
            break
        samples += min(span.end, end) - max(span.start, start)
    return samples / SAMPLE_RATE


def surplus_shares(segments: Sequence[Segment]) -> list[float]:
    """Share of each segment's words that repeat a phrase too often, 0..1.

    The words of all segments are one stream: a loop may fit into a segment, fill many, or straddle their borders.
    """
    texts = [words_of(segment.text) for segment in segments]
    surplus = surplus_words([word for words in texts for word in words])
    borders = np.cumsum([0, *(len(words) for words in texts)])
    return [float(surplus[start:end].mean()) if start < end else 0.0 for start, end in pairwise(borders)]


def words_of(text: str) -> list[str]:
    """Words without case and punctuation, so that "No, no. NO!" is one word three times."""
    letters = "".join(" " if unicodedata.category(c)[0] in NOT_IN_WORDS else c for c in text.casefold())
    return UNSPACED.sub(r" \1 ", letters).split()


def surplus_words(words: Sequence[str]) -> NDArray[np.bool_]:
    """Which words go on with a phrase that has come in a row as often as MOST_REPEATS allows already."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    stream = np.array([numbers[word] for word in words], np.int64)
    surplus = np.zeros(len(stream), np.bool_)
    for length in range(1, LONGEST_PHRASE + 1):
        again = np.concatenate(([False], stream[length:] == stream[:-length], [False]))
        changes = np.flatnonzero(again[1:] != again[:-1])
        for first, last in changes.reshape(-1, 2):  # the word at `first` comes again `length` words later
            surplus[first + length * MOST_REPEATS.get(length, MOST_REPEATS[3]) : last + length] = True
    return surplus


def _concern(segment: Segment, reason: Reason, index: int | None) -> Concern:
    """index: in the transcript, None when it was dropped."""
    action = Action.DROPPED if index is None else Action.MARKED
    return Concern(index, segment.start, segment.end, segment.text, reason, action)
