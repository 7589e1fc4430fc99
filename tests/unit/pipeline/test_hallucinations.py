"""Hallucinations are flagged; real speech, however odd, is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.options import DecodeOptions, HallucinationPolicy
from transcription.core.transcript import Action, Reason, Segment, Transcript
from transcription.media.voice_activity import Activity
from transcription.pipeline.hallucinations import find_hallucinations, judge, voiced_seconds

OPTIONS = DecodeOptions(model="demo")
SECONDS = 2.0  # a segment
SURE = -0.2  # mean log-probability of clean speech
DOUBTFUL = -0.9
LOOPING = 6.0  # compression ratio of a decode that repeats itself


def said(text: str, **figures: float) -> Segment:
    """A segment of a good decode, with any figure replaced."""
    good = Segment(0.0, SECONDS, text, (1,), SURE, 1.2, 0.01, 0.0)
    return replace(good, **figures)


def one_after_the_other(*segments: Segment) -> tuple[Segment, ...]:
    return tuple(replace(s, start=i * SECONDS, end=(i + 1) * SECONDS) for i, s in enumerate(segments))


def voice_under(*segments: Segment) -> list[Span]:
    return [Span(int(s.start * SAMPLE_RATE), int((s.end - s.start) * SAMPLE_RATE)) for s in segments]


def activity(spans: Sequence[Span]) -> Activity:
    """Stretches of speech without pauses inside."""
    return Activity(spans, spans)


def utterances(times: int) -> list[Span]:
    """A voice for 1.5 s of every 2 s."""
    return [Span(int(i * SECONDS * SAMPLE_RATE), int(1.5 * SAMPLE_RATE)) for i in range(times)]


def reasons(*segments: Segment, voice: bool | None = True) -> dict[int, Reason]:
    """The flagged segments by index. voice: everywhere, nowhere, or None without voice activity detection."""
    placed = one_after_the_other(*segments)
    speech = None if voice is None else activity(voice_under(*placed) if voice else [])
    return {finding.index: finding.reason for finding in find_hallucinations(placed, speech, OPTIONS)}


# What people say


@pytest.mark.parametrize(
    "text",
    [
        " no no no",
        " No, no, no, no, no, no, no!",
        " thank you thank you",
        " one two three four five six seven eight nine ten",
        " 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
        " one hundred and one, one hundred and two, one hundred and three, one hundred and four, one hundred and five",
        " na na na na na na na na na na na, hey Jude",
        " it's a, it's a, it's a, well, it's a long story",
        " はい、はい、はい",
        " ありがとうございます。ありがとうございます。",
    ],
)
def test_natural_repetitions_are_kept(text: str) -> None:
    assert reasons(said(text)) == {}


def test_a_chorus_of_two_lines_is_kept_even_if_its_decode_is_compressible() -> None:
    lines = [
        said(" we all live in a yellow submarine", compression_ratio=3.0),
        said(" a yellow submarine", compression_ratio=3.0),
    ]
    assert reasons(*lines * 4) == {}


def test_thanks_said_twice_are_kept() -> None:
    assert reasons(said(" Thank you."), said(" Thank you.")) == {}


def test_a_slogan_in_several_good_decodes_is_kept() -> None:
    assert reasons(*[said(" What do we want? Peace!")] * 30) == {}


def test_quiet_speech_is_kept() -> None:
    assert reasons(said(" can you hear me", avg_logprob=-1.2, no_speech_prob=0.5)) == {}


def test_singing_without_detected_voice_is_kept() -> None:
    assert reasons(said(" yesterday all my troubles seemed so far away", avg_logprob=-0.6), voice=False) == {}


def test_clear_singing_without_detected_speech_or_voice_is_kept() -> None:
    clear = said(" yesterday all my troubles", avg_logprob=-0.3, no_speech_prob=0.8)
    assert reasons(clear, voice=False) == {}


def test_a_short_word_in_a_long_segment_is_kept() -> None:
    segment = said(" yes", avg_logprob=DOUBTFUL, start=0.0, end=30.0)
    assert find_hallucinations([segment], activity([Span(20 * SAMPLE_RATE, SAMPLE_RATE // 5)]), OPTIONS) == []


def test_a_sentence_that_is_said_eight_times_with_pauses_is_kept_eight_times() -> None:
    said_again = one_after_the_other(*[said(" I really like that account of himself.", compression_ratio=LOOPING)] * 8)
    assert find_hallucinations(said_again, activity(utterances(8)), OPTIONS) == []


# What they do not say


def test_a_sentence_that_is_written_more_often_than_it_is_said_is_flagged() -> None:
    loop = one_after_the_other(*[said(" I really like that account of himself.", compression_ratio=LOOPING)] * 8)
    found = find_hallucinations(loop, activity(utterances(7)), OPTIONS)
    assert [finding.index for finding in found] == [4, 5, 6, 7]


def test_a_loop_over_many_segments_is_flagged_after_its_first_repeats() -> None:
    loop = [said(" Thanks for watching!", compression_ratio=LOOPING)] * 20
    assert reasons(*loop) == dict.fromkeys(range(4, 20), Reason.REPETITION)


def test_a_loop_of_two_segments_is_flagged_after_its_first_repeats() -> None:
    loop = [said(" I see.", compression_ratio=LOOPING), said(" So do I, my friend.", compression_ratio=LOOPING)] * 10
    assert reasons(*loop) == dict.fromkeys(range(8, 20), Reason.REPETITION)


@pytest.mark.parametrize("text", [" no" * 60, " thank you" * 40, " and I said to him" * 12, " 谢谢" * 30])
def test_a_loop_inside_a_segment_is_flagged(text: str) -> None:
    assert reasons(said(text, compression_ratio=LOOPING)) == {0: Reason.REPETITION}


def test_the_segment_before_a_loop_is_kept() -> None:
    first, loop = said(" let us begin", compression_ratio=LOOPING), said(" so so so" * 20, compression_ratio=LOOPING)
    assert reasons(first, loop) == {1: Reason.REPETITION}


def test_a_loop_without_voice_is_flagged_even_if_its_decodes_are_good() -> None:
    assert reasons(*[said(" Thank you.")] * 7, voice=False) == {5: Reason.REPETITION, 6: Reason.REPETITION}


def test_a_word_of_endlessly_repeated_letters_is_too_compressible() -> None:
    assert reasons(said(" m" + "m" * 200, compression_ratio=LOOPING)) == {0: Reason.COMPRESSION_RATIO}


def test_a_compressible_and_improbable_decode_is_flagged() -> None:
    segment = said(" the the cat the", compression_ratio=3.0, avg_logprob=-1.1)
    assert reasons(segment) == {0: Reason.COMPRESSION_RATIO}


def test_uncertain_words_without_voice_are_flagged() -> None:
    assert reasons(said(" you", avg_logprob=DOUBTFUL), voice=False) == {0: Reason.NO_VOICE}


def test_thanks_over_applause_with_scraps_of_a_voice_are_flagged() -> None:
    thanks = said(" Thank you very much.", avg_logprob=-1.13, no_speech_prob=0.29)
    scraps = Activity([Span(0, 2 * SAMPLE_RATE)], [Span(0, SAMPLE_RATE // 4), Span(SAMPLE_RATE, SAMPLE_RATE // 2)])
    [finding] = find_hallucinations([thanks], scraps, OPTIONS)
    assert finding.reason is Reason.NO_VOICE


@pytest.mark.parametrize("avg_logprob", [SURE, DOUBTFUL])
def test_thanks_that_are_said_are_kept(avg_logprob: float) -> None:
    thanks = said(" Thank you very much.", avg_logprob=avg_logprob, no_speech_prob=0.29)
    short = [Span(SAMPLE_RATE, SAMPLE_RATE // 2)]
    assert find_hallucinations([thanks], activity(short), OPTIONS) == []


def test_signs_without_words_in_likely_silence_are_flagged() -> None:
    assert reasons(said(" 💭💭💭", avg_logprob=-1.45, no_speech_prob=0.44)) == {0: Reason.LOW_CONFIDENCE}
    assert reasons(said(" ♪", no_speech_prob=0.44)) == {}


def test_thanks_for_watching_in_silence_is_flagged() -> None:
    classic = said(" Thanks for watching!", avg_logprob=-0.45, no_speech_prob=0.8)
    assert reasons(classic, voice=False) == {0: Reason.NO_VOICE}


@pytest.mark.parametrize("voice", [True, None])
def test_uncertain_words_are_kept_unless_silence_was_detected(voice: bool | None) -> None:
    assert reasons(said(" you", avg_logprob=DOUBTFUL), voice=voice) == {}


def test_a_click_does_not_count_as_voice() -> None:
    segment = said(" you", avg_logprob=DOUBTFUL)
    assert find_hallucinations([segment], activity([Span(SAMPLE_RATE, SAMPLE_RATE // 20)]), OPTIONS)


def test_words_far_below_the_threshold_in_likely_silence_are_flagged() -> None:
    assert reasons(said(" mumble", avg_logprob=-1.6, no_speech_prob=0.4)) == {0: Reason.LOW_CONFIDENCE}


# What happens to them


TRANSCRIPT = Transcript(
    language="en",
    language_probability=1.0,
    duration=10.0,
    segments=one_after_the_other(said(" hello"), said(" you", avg_logprob=DOUBTFUL), said(" goodbye")),
    model="demo",
)
LEFT_OUT = replace(said(" thanks for watching"), start=1.5, end=2.0)
SPEECH = activity(voice_under(TRANSCRIPT.segments[0], TRANSCRIPT.segments[2]))


def test_drop_removes_the_segment_and_lists_it() -> None:
    judged = judge(TRANSCRIPT, [], SPEECH, OPTIONS, HallucinationPolicy.DROP)
    (concern,) = judged.warnings
    assert judged.text == "hello goodbye"
    assert (concern.segment, concern.action, concern.reason) == (None, Action.DROPPED, Reason.NO_VOICE)
    assert (concern.start, concern.end, concern.text) == (2.0, 4.0, " you")


def test_mark_keeps_the_segment_and_lists_it() -> None:
    judged = judge(TRANSCRIPT, [], SPEECH, OPTIONS, HallucinationPolicy.MARK)
    assert judged.segments == TRANSCRIPT.segments
    assert [(concern.segment, concern.action) for concern in judged.warnings] == [(1, Action.MARKED)]


def test_keep_does_not_judge() -> None:
    assert judge(TRANSCRIPT, [], SPEECH, OPTIONS, HallucinationPolicy.KEEP) is TRANSCRIPT


def test_segments_omitted_by_the_decoder_are_listed() -> None:
    judged = judge(TRANSCRIPT, [LEFT_OUT], None, OPTIONS, HallucinationPolicy.DROP)
    (concern,) = judged.warnings
    assert judged.segments == TRANSCRIPT.segments
    assert (concern.segment, concern.action, concern.reason) == (None, Action.DROPPED, Reason.NO_SPEECH)
    assert concern.text == " thanks for watching"


def test_mark_restores_segments_omitted_by_the_decoder() -> None:
    judged = judge(TRANSCRIPT, [LEFT_OUT], None, OPTIONS, HallucinationPolicy.MARK)
    assert [segment.text for segment in judged.segments] == [" hello", " thanks for watching", " you", " goodbye"]
    assert [(concern.segment, concern.reason) for concern in judged.warnings] == [(1, Reason.NO_SPEECH)]


def test_keep_does_not_restore_segments_omitted_by_the_decoder() -> None:
    assert judge(TRANSCRIPT, [LEFT_OUT], None, OPTIONS, HallucinationPolicy.KEEP) is TRANSCRIPT


texts = st.lists(st.sampled_from(["no", "thank", "you", "so", "and", "then", "谢"]), max_size=30).map(" ".join)
any_segments = st.lists(
    st.builds(
        said,
        texts,
        avg_logprob=st.floats(-3, 0),
        compression_ratio=st.floats(0.5, 10),
        no_speech_prob=st.floats(0, 1),
    ),
    max_size=12,
).map(lambda segments: one_after_the_other(*segments))
any_speech = st.none() | st.lists(st.integers(1, 40_000), max_size=12).map(
    lambda lengths: activity([Span(i * 40_000, length) for i, length in enumerate(lengths)])
)


@given(any_segments, any_speech)
def test_drop_has_the_segments_that_mark_does_not_list(segments: tuple[Segment, ...], speech: Activity | None) -> None:
    transcript = replace(TRANSCRIPT, segments=segments)
    dropped = judge(transcript, [], speech, OPTIONS, HallucinationPolicy.DROP)
    marked = judge(transcript, [], speech, OPTIONS, HallucinationPolicy.MARK)
    finded = {concern.segment for concern in marked.warnings}
    assert marked.segments == segments
    assert dropped.segments == tuple(s for index, s in enumerate(segments) if index not in finded)
    assert [(c.start, c.text, c.reason) for c in dropped.warnings] == [
        (c.start, c.text, c.reason) for c in marked.warnings
    ]


@given(any_segments, any_speech)
def test_keep_changes_nothing(segments: tuple[Segment, ...], speech: Activity | None) -> None:
    transcript = replace(TRANSCRIPT, segments=segments)
    assert judge(transcript, [], speech, OPTIONS, HallucinationPolicy.KEEP) is transcript


@given(any_segments, st.booleans() | st.none())
def test_an_unremarkable_transcript_is_never_changed(segments: tuple[Segment, ...], heard: bool | None) -> None:
    """Unremarkable: no decode failed and the model is certain. heard: whether voice was detected, None if unknown."""
    unremarkable = one_after_the_other(
        *(
            replace(s, text=f" {number} {s.text}", avg_logprob=SURE, compression_ratio=1.5, no_speech_prob=0.1)
            for number, s in enumerate(segments)
        )
    )
    spoken = {True: activity(voice_under(*unremarkable)), None: None}
    if heard is not False:
        assert find_hallucinations(unremarkable, spoken[heard], OPTIONS) == []
    else:
        distinct = [replace(s, text=f" number {index} of many") for index, s in enumerate(unremarkable)]
        assert find_hallucinations(distinct, activity([]), OPTIONS) == []


def test_voice_is_measured_under_each_segment() -> None:
    segments = one_after_the_other(said(" a"), said(" b"), said(" c"))
    speech = [Span(SAMPLE_RATE, 2 * SAMPLE_RATE), Span(int(3.5 * SAMPLE_RATE), SAMPLE_RATE // 4)]
    assert voiced_seconds(segments, speech) == pytest.approx([1.0, 1.25, 0.0])
