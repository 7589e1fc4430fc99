"""A corrected transcript: what changed is changed, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import json as json_format
from formats import verbose_json
from formats.registry import ResponseFormat, render
from formats.subtitles.layout import SubtitleLayout
from tests.unit.formats.test_formats import segment, transcript
from transcription.api.schemas.edits import parse_edit
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import Speaker
from transcription.core.transcript import Action, Concern, Reason, Segment, Transcript, Word
from transcription.jobs.transcripts import corrections
from transcription.jobs.transcripts.corrections import EditedSegment, EditedWord, corrected
from transcription.pipeline.speakers import spoken_by


def spoken(text: str, start: float, speaker: str | None = None) -> Segment:
    """A segment whose words take half a second each."""
    words = tuple(
        Word(f" {word}", start + place / 2 + 0.001, start + place / 2 + 0.499, 0.9)
        for place, word in enumerate(text.split())
    )
    made = segment(words[0].start, words[-1].end, f" {text}", words)
    return spoken_by(made, speaker) if speaker else made


MEETING = replace(
    transcript(spoken("see you at noun", 0.0, "Ann"), spoken("fine thanks", 3.0, "Bob"), words=True),
    speakers=(Speaker("Ann", 2.5, 0.625), Speaker("Bob", 1.5, 0.375)),
    warnings=(Concern(1, 3.001, 3.999, " fine thanks", Reason.NO_VOICE, Action.MARKED),),
)


def edits(of: Transcript) -> list[EditedSegment]:
    """The segments as a client has them, rounded, without words."""
    return [EditedSegment(round(each.start, 2), round(each.end, 2), each.text.strip()) for each in of.segments]


def corrected_text(number: int, text: str, of: Transcript = MEETING) -> Transcript:
    given = edits(of)
    given[number] = replace(given[number], text=text)
    return corrected(of, given)


@pytest.mark.parametrize("write", [json_format.render, verbose_json.render])
def test_what_the_service_wrote_can_be_sent_back_and_changes_nothing(write):
    assert corrected(MEETING, parse_edit(write(MEETING).encode())) == MEETING


def test_a_corrected_word_is_in_every_format():
    after = corrected_text(0, "see you at noon")
    for each in ResponseFormat:
        body = render(after, each, SubtitleLayout(max_line_width=20)).body
        assert ("noon" in body or each is ResponseFormat.RTTM) and "noun" not in body, each


def test_words_that_did_not_change_keep_their_times():
    before, after = MEETING.segments[0].words, corrected_text(0, "see you at noon").segments[0].words
    assert after[:3] == before[:3]
    assert (after[3].text, after[3].start, after[3].end) == (" noon", before[3].start, before[3].end)


def test_other_segments_stay_as_they_are():
    assert corrected_text(0, "see you at noon").segments[1] is not MEETING.segments[0]
    assert corrected_text(0, "see you at noon").segments[1] == MEETING.segments[1]


def test_a_segment_that_was_split_keeps_the_times_of_its_words():
    first = MEETING.segments[0]
    parts = [EditedSegment(0.0, 0.99, "see you"), EditedSegment(1.0, 2.0, "at noun")]
    after = corrected(MEETING, [*parts, *edits(MEETING)[1:]])
    assert [word.text for word in after.segments[1].words] == [" at", " noun"]
    assert [word.start for word in after.words] == pytest.approx([word.start for word in MEETING.words], abs=0.01)
    assert [each.speaker for each in after.segments] == ["Ann", "Ann", "Bob"]
    assert after.segments[1].avg_logprob == first.avg_logprob


def test_segments_that_were_merged_keep_the_times_of_their_words():
    after = corrected(MEETING, [EditedSegment(0.0, 4.0, "see you at noun fine thanks", "Ann")])
    assert [(word.start, word.end) for word in after.words] == [(word.start, word.end) for word in MEETING.words]
    assert {word.speaker for word in after.words} == {"Ann"}
    assert after.speakers == (Speaker("Ann", 4.0, 1.0),)


def test_words_may_be_sent_with_their_times():
    words = (EditedWord("see", 0.1, 0.3, 0.5), EditedWord("you", 0.4, 0.9))
    after = corrected(MEETING, [EditedSegment(0.0, 2.0, "see you", words=words)])
    assert after.words == (Word(" see", 0.1, 0.3, 0.5, "Ann"), Word(" you", 0.4, 0.9, 1.0, "Ann"))


def test_a_transcript_without_words_stays_without():
    plain = transcript(segment(0.0, 1.5, " hello there"))
    assert corrected_text(0, "hello here", plain).segments[0].words == ()


def test_speakers_have_the_seconds_of_their_segments_if_they_change():
    given = edits(MEETING)
    after = corrected(MEETING, [given[0], replace(given[1], speaker="Cy")])
    assert [speaker.label for speaker in after.speakers] == ["Ann", "Cy"]
    assert sum(speaker.share for speaker in after.speakers) == pytest.approx(1)
    assert {word.speaker for word in after.segments[1].words} == {"Cy"}
    assert corrected_text(0, "see you at noon").speakers == MEETING.speakers


def test_a_segment_may_have_no_speaker():
    given = edits(MEETING)
    after = corrected(MEETING, [given[0], replace(given[1], speaker="")])
    assert after.segments[1].speaker is None
    assert [speaker.label for speaker in after.speakers] == ["Ann"]


def test_a_warning_follows_its_segment_and_goes_with_its_text():
    assert corrected(MEETING, edits(MEETING)[1:]).warnings == (replace(MEETING.warnings[0], segment=0),)
    assert corrected_text(1, "fine, no").warnings == ()


def test_every_segment_may_be_deleted():
    after = corrected(MEETING, [])
    assert (after.segments, after.speakers, after.text) == ((), (), "")


def test_text_without_spaces_stays_without():
    chinese = transcript(segment(0.0, 1.0, "今天天气"), segment(1.0, 2.0, "很好。"))
    assert corrected_text(1, "不好。", chinese).text == "今天天气不好。"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (EditedSegment(2.0, 1.0, "x"), "must not end before it starts"),
        (EditedSegment(0.0, 99.0, "x"), "ends at 99 s, but the recording has 12.50 s"),
        (EditedSegment(0.0, 1.0, " \n "), "has no text"),
        (EditedSegment(0.0, 1.0, "a\x07b"), "control characters"),
        (EditedSegment(0.0, 1.0, "x", speaker=" "), "name of a speaker is empty"),
        (EditedSegment(0.0, 1.0, "x", speaker="a\nb"), "control characters"),
        (EditedSegment(0.0, 1.0, "one two", words=(EditedWord("one", 0.0, 0.5),)), "words are not those of its text"),
        (EditedSegment(0.0, 1.0, "x", words=(EditedWord("x", 0.5, 2.0),)), "Word 0 is from 0.5 to 2 s"),
        (EditedSegment(0.0, 1.0, "x", words=(EditedWord("x", 0.5, 0.4),)), "Word 0 is from 0.5 to 0.4 s"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_number_of_the_segment(given, said):
    with pytest.raises(InvalidParameter, match=f"Segment 1: .*{said}"):
        corrected(MEETING, [EditedSegment(0.0, 0.5, "first"), given])


def test_segments_must_be_in_order():
    with pytest.raises(InvalidParameter, match="Segment 1 starts at 1 s, before segment 0 does"):
        corrected(MEETING, [EditedSegment(2.0, 3.0, "b"), EditedSegment(1.0, 2.0, "a")])


def test_too_many_speakers_are_refused():
    with pytest.raises(InvalidParameter, match="51 speakers"):
        corrected(MEETING, [EditedSegment(n / 10, n / 10, "x", f"No. {n}") for n in range(51)])


@st.composite
def some_edits(draw: st.DrawFn) -> list[EditedSegment]:
    starts = sorted(draw(st.lists(st.floats(0, 12), max_size=6)))
    return [
        EditedSegment(
            start,
            min(12.5, start + draw(st.floats(0, 6))),
            draw(st.lists(st.sampled_from(["see", "you", "Noun,", "new", "今天"]), min_size=1).map(" ".join)),
            draw(st.sampled_from([None, "", "Ann", "Cy"])),
        )
        for start in starts
    ]


@given(some_edits(), st.sampled_from([None, SubtitleLayout(max_line_width=10, highlight_words=True)]))
def test_whatever_is_saved_can_be_read_in_every_format_and_saved_again(given, layout):
    after = corrected(MEETING, given)
    assert [each.text.split() for each in after.segments] == [each.text.split() for each in given]
    assert all(one.start <= other.start for each in after.segments for one, other in pairwise(each.words))
    for each in ResponseFormat:
        render(after, each, layout)
    again = corrected(after, parse_edit(verbose_json.render(after).encode()))
    assert again.text == after.text
    assert [each.speaker for each in again.segments] == [each.speaker for each in after.segments]


def test_texts_that_overlap_the_whole_recording_again_and_again_are_not_compared_without_end(monkeypatch):
    monkeypatch.setattr(corrections, "MOST_PAIRS", 50)
    given = [EditedSegment(0.0, 4.0, "see you at noon fine thanks", "Ann")] * 3
    first, *_, last = corrected(MEETING, given).segments
    assert first.words[:3] == tuple(replace(word, speaker="Ann") for word in MEETING.words[:3])
    assert last.words[0].end == pytest.approx(4 * 3 / 22)  # its share of the segment
