"""The channels of a call become one conversation."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given

from tests.unit.formats.test_formats import NOTICE, segment, transcript
from tests.unit.pipeline.test_speakers import spoken, spoken_segments, who
from transcription.core.speakers import Speaker
from transcription.core.transcript import Action, Concern, Reason
from transcription.pipeline.merged_channels import merge_channels

LABELS = ("Agent", "Caller")


def test_segments_are_ordered_by_their_start_with_one_speaker_a_channel():
    agent = transcript(segment(0.0, 2.0, " hello"), segment(5.0, 6.0, " sure"))
    caller = transcript(spoken(("hi", 3.0, 4.0)))
    merged = merge_channels([agent, caller], LABELS)
    assert who(merged.segments) == [("Agent", " hello"), ("Caller", " hi"), ("Agent", " sure")]
    assert merged.segments[1].words[0].speaker == "Caller"
    assert merged.speakers == (Speaker("Agent", 3.0, 0.75), Speaker("Caller", 1.0, 0.25))


def test_an_interjection_is_read_where_it_was_said():
    agent = transcript(spoken(("please", 0.0, 1.0), ("wait", 1.0, 2.0), ("a", 3.0, 3.5), ("moment", 3.5, 4.0)))
    caller = transcript(segment(2.2, 2.8, " yes"))
    merged = merge_channels([agent, caller], LABELS)
    assert who(merged.segments) == [("Agent", " please wait"), ("Caller", " yes"), ("Agent", " a moment")]


def test_a_sentence_that_another_one_begins_in_is_not_cut():
    agent = transcript(spoken(("until", 0.0, 1.0), ("Friday", 1.0, 2.0)))
    caller = transcript(segment(0.9, 3.0, " thank you"))
    merged = merge_channels([agent, caller], LABELS)
    assert who(merged.segments) == [("Agent", " until Friday"), ("Caller", " thank you")]
    assert [each.overlap for each in merged.segments] == [True, True]


def test_the_language_is_that_of_the_channel_with_most_speech():
    quiet = replace(transcript(segment(0.0, 1.0, " ja")), language="de")
    assert merge_channels([quiet, transcript(segment(2.0, 9.0, " and so on"))], LABELS).language == "en"
    assert merge_channels([transcript(segment(2.0, 9.0, " and so on")), quiet], LABELS).language == "en"


def test_a_silent_channel_has_no_speaker():
    merged = merge_channels([transcript(), transcript(segment(0.0, 1.0, " hi"))], LABELS)
    assert [speaker.label for speaker in merged.speakers] == ["Caller"]


def test_channels_without_speech_make_a_transcript_without_speech():
    merged = merge_channels([transcript(), replace(transcript(), duration=20.0)], LABELS)
    assert (merged.text, merged.speakers, merged.duration) == ("", (), 20.0)


def test_warnings_follow_their_segments_and_notices_about_the_file_are_given_once():
    marked = Concern(0, 1.0, 2.0, " hi", Reason.NO_VOICE, Action.MARKED)
    agent = replace(transcript(segment(0.0, 0.5, " hello")), notices=(NOTICE,))
    caller = replace(transcript(segment(1.0, 2.0, " hi")), notices=(NOTICE,), warnings=(marked,))
    merged = merge_channels([agent, caller], LABELS)
    assert merged.warnings == (replace(marked, segment=1),)
    assert merged.notices == (NOTICE,)


@given(spoken_segments(), spoken_segments())
def test_each_channel_keeps_its_text_and_all_segments_are_in_order(first, second):
    merged = merge_channels([transcript(*first), transcript(*second)], LABELS)
    for label, said in zip(LABELS, (first, second), strict=True):
        kept = "".join(each.text for each in merged.segments if each.speaker == label)
        assert kept == "".join(each.text for each in said)
    assert all(before.start <= after.start for before, after in pairwise(merged.segments))
