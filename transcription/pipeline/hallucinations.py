"""Finds segments that are probably hallucinated, from the figures of the decoder and voice activity detection.

There are four rules, and the first that applies gives the reason. Each needs two independent indications, because each
of them alone also occurs in real speech: a chorus repeats itself, quiet speech is uncertain, and Silero does not detect
singing as speech. A fifth rule is Whisper's own: segments that the decoder omits as silence are listed, too. The
figures of the decoder describe the whole decode that a segment comes from, not the segment alone.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.options import DecodeOptions, HallucinationPolicy
from transcription.core.text import compression_ratio
from transcription.core.transcript import Action, Concern, Reason, Segment, Transcript
from transcription.media.voice_activity import Activity
from transcription.pipeline.repetition import surplus_shares, words_of

# A segment is flagged if more than this share of its words is surplus. Text is never edited, so a segment is dropped as
# a whole or not at all.
MOST_SURPLUS = 0.5

# Mean log-probability of a token at which the words are as likely wrong as right. Whisper's own threshold, -1.0, is
# lower because it only decides about another decode.
EVEN_CHANCE = math.log(0.5)  # -0.69
# Reached by clean speech. Required of words where the model itself detects no speech: "Thanks for watching" in silence
# has a better than even chance, but less than this, and a no_speech_prob above Whisper's threshold of 0.6.
CLEAR_WORDS = math.log(0.7)  # -0.36
# Distance below log_prob_threshold after all temperatures: tokens 40 % less probable than where Whisper gives up.
FAR_BELOW = 0.5
# Share of no_speech_threshold. Above the whole threshold the decoder drops the window itself. Intelligible speech,
# however quiet, does not fall below FAR_BELOW.
LIKELY_SILENT = 0.5

# A shorter voice under a segment does not count: Silero's frames are 32 ms long and a click may fill one, while a
# syllable takes 150 ms or more. Not a share, because Whisper's segments may include long pauses around one word.
MIN_VOICE_SECONDS = 0.1
MIN_VOICE_SHARE = 0.5  # of segments shorter than 0.2 s
# Words that failed at every temperature need a voice for at least this share of their segment, pauses not counted. In
# laughter and applause Silero detects scraps of a voice, and the model writes "Thank you very much" over all of it.
SPARSE_VOICE = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """A segment that is probably hallucinated. index: in the list that was searched."""

    index: int
    reason: Reason


def judge(
    transcript: Transcript,
    unspoken: Sequence[Segment],
    activity: Activity | None,
    options: DecodeOptions,
    policy: HallucinationPolicy,
) -> Transcript:
    """Apply the policy: hallucinated segments are dropped or kept, and listed under `warnings`.

    unspoken: segments in file time that the decoder omitted as silence. activity: see `find_hallucinations`.
    """
    if policy is HallucinationPolicy.KEEP:
        return transcript
    reasons = {finding.index: finding.reason for finding in find_hallucinations(transcript.segments, activity, options)}
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


def find_hallucinations(
    segments: Sequence[Segment], activity: Activity | None, options: DecodeOptions
) -> list[Finding]:
    """The segments of one file that are probably hallucinated, in order.

    segments: in file time. activity: the speech in the file, in order, in samples of the file; None without voice
    activity detection. options: of the decode, for its thresholds.
    """
    surplus = surplus_shares(segments, activity.voice if activity else None)
    stretches = voiced_seconds(segments, activity.stretches) if activity else [None] * len(segments)
    voices = voiced_seconds(segments, activity.voice) if activity else [None] * len(segments)
    findings = []
    for index, (segment, share, stretch, voice) in enumerate(zip(segments, surplus, stretches, voices, strict=True)):
        reason = _reason(segment, share, _is_voiceless(segment, stretch), _is_sparse(segment, voice), options)
        if reason:
            findings.append(Finding(index, reason))
    return findings


def _reason(segment: Segment, surplus: float, voiceless: bool, sparse: bool, options: DecodeOptions) -> Reason | None:
    looping = segment.compression_ratio > options.compression_ratio_threshold  # at every temperature
    unsure = _is_unsure(segment, options)
    failed = segment.avg_logprob < options.log_prob_threshold  # at every temperature
    # Windows are decoded independently. The same words in several good decodes over a voice were really repeated, with
    # pauses or without.
    if surplus > MOST_SURPLUS and (looping or unsure or voiceless):
        return Reason.REPETITION
    # A chorus makes a decode compressible, too, but each of its lines is a segment that is not.
    if looping and (failed or compression_ratio(segment.text.strip()) > options.compression_ratio_threshold):
        return Reason.COMPRESSION_RATIO
    if (voiceless and unsure) or (sparse and failed):
        return Reason.NO_VOICE
    hopeless = segment.avg_logprob < options.log_prob_threshold - FAR_BELOW or not words_of(segment.text)
    if failed and hopeless and segment.no_speech_prob > options.no_speech_threshold * LIKELY_SILENT:
        return Reason.LOW_CONFIDENCE
    return None


def _is_unsure(segment: Segment, options: DecodeOptions) -> bool:
    """Whether the model is uncertain of its words."""
    no_speech = segment.no_speech_prob > options.no_speech_threshold
    return segment.avg_logprob < (CLEAR_WORDS if no_speech else EVEN_CHANCE)


def _is_voiceless(segment: Segment, voice: float | None) -> bool:
    """Whether almost no voice was detected under a segment. voice: seconds, None without detection.

    A segment without duration, such as one after the end of the audio, has none.
    """
    return voice is not None and voice <= min(MIN_VOICE_SECONDS, MIN_VOICE_SHARE * (segment.end - segment.start))


def _is_sparse(segment: Segment, voice: float | None) -> bool:
    """Whether a voice was detected in less than half of a segment. voice: as above, without pauses."""
    return voice is not None and voice < SPARSE_VOICE * (segment.end - segment.start)


def voiced_seconds(segments: Sequence[Segment], speech: Sequence[Span]) -> list[float]:
    """Seconds of voice under each segment."""
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


def _concern(segment: Segment, reason: Reason, index: int | None) -> Concern:
    """The warning about a segment. index: in the transcript, None if the segment was dropped."""
    action = Action.DROPPED if index is None else Action.MARKED
    return Concern(index, segment.start, segment.end, segment.text, reason, action)
