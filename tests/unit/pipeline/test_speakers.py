"""Words get the speaker whose turns cover them, and segments are cut where the speaker changes."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.formats.test_formats import segment, transcript
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import LETTERS, Speaker, Turn
from transcription.core.transcript import Action, Concern, Reason, Segment, Word
from transcription.pipeline.speakers import (
    NEAREST_SECONDS,
    assign,
    checked_name,
    labels_of,
    renamed,
    speakers_of,
    with_speakers,
)

ANN, BOB = 0, 1
NAMES = {ANN: "Ann", BOB: "Bob"}


def spoken(*words: tuple[str, float, float]) -> Segment:
    """A segment of words with their start and end, each with a leading space."""
    timed = tuple(Word(f" {text}", start, end, 0.9) for text, start, end in words)
    return segment(timed[0].start, timed[-1].end, "".join(word.text for word in timed), timed)


def who(segments: list[Segment]) -> list[tuple[str | None, str]]:
    """The speaker and the text of each segment."""
    return [(each.speaker, each.text) for each in segments]


# Words


def test_a_word_belongs_to_the_person_whose_turn_covers_most_of_it():
    said = [spoken(("hello", 0.0, 1.0)), spoken(("hi", 1.0, 2.0))]
    assert who(assign(said, [Turn(0.0, 1.4, ANN), Turn(1.4, 2.0, BOB)], NAMES)) == [("Ann", " hello"), ("Bob", " hi")]


def test_a_segment_is_cut_where_the_speaker_changes():
    said = spoken(("how", 0.0, 0.4), ("are", 0.4, 0.7), ("fine", 1.0, 1.5), ("thanks", 1.5, 2.0))
    first, second = assign([said], [Turn(0.0, 0.8, ANN), Turn(0.9, 2.0, BOB)], NAMES)
    assert (first.text, first.start, first.end) == (" how are", 0.0, 0.7)
    assert (second.text, second.start, second.end) == (" fine thanks", 1.0, 2.0)
    assert [word.speaker for word in (*first.words, *second.words)] == ["Ann", "Ann", "Bob", "Bob"]


def test_the_first_piece_of_a_segment_keeps_its_tokens():
    said = spoken(("hello", 0.0, 1.0), ("hi", 1.0, 2.0))
    first, second = assign([said], [Turn(0.0, 1.0, ANN), Turn(1.0, 2.0, BOB)], NAMES)
    assert (first.tokens, second.tokens) == (said.tokens, ())
    assert first.avg_logprob == second.avg_logprob == said.avg_logprob


def test_pieces_keep_the_outer_times_of_their_segment():
    said = replace(spoken(("hello", 0.2, 1.0), ("hi", 1.0, 1.8)), start=0.0, end=2.0)
    first, second = assign([said], [Turn(0.0, 1.0, ANN), Turn(1.0, 2.0, BOB)], NAMES)
    assert (first.start, first.end, second.start, second.end) == (0.0, 1.0, 1.0, 2.0)


def test_a_word_outside_all_turns_belongs_to_the_nearest_one():
    said = [spoken(("hello", 0.0, 1.0)), spoken(("right", 1.8, 2.0)), spoken(("yes", 2.3, 3.0))]
    turns = [Turn(0.0, 1.0, ANN), Turn(2.3, 3.0, BOB)]
    assert [each.speaker for each in assign(said, turns, NAMES)] == ["Ann", "Bob", "Bob"]


def test_a_word_far_from_all_turns_belongs_to_who_spoke_before():
    far = 10.0 + NEAREST_SECONDS + 0.1
    said = [spoken(("hello", 0.0, 1.0)), spoken(("right", 8.0, 8.5)), spoken(("yes", far, far + 1))]
    turns = [Turn(0.0, 1.0, ANN), Turn(far, far + 1, BOB)]
    assert [each.speaker for each in assign(said, turns, NAMES)] == ["Ann", "Ann", "Bob"]


def test_the_first_word_belongs_to_the_nearest_turn_however_far_it_is():
    said = [spoken(("hello", 0.0, 1.0))]
    turns = [Turn(60.0, 61.0, ANN), Turn(50.0, 51.0, BOB)]
    assert [each.speaker for each in assign(said, turns, NAMES)] == ["Bob"]


def test_of_two_who_speak_at_the_same_time_the_one_who_was_speaking_goes_on():
    said = [spoken(("so", 0.0, 1.0)), spoken(("I", 1.0, 2.0)), spoken(("went", 2.0, 3.0))]
    for interrupted, interrupting in ((ANN, BOB), (BOB, ANN)):
        turns = [Turn(0.0, 3.0, interrupted), Turn(1.0, 2.0, interrupting)]
        assert {each.speaker for each in assign(said, turns, NAMES)} == {NAMES[interrupted]}


def test_a_word_without_a_duration_belongs_to_the_turn_it_is_in():
    said = [spoken(("hello", 0.0, 1.0)), spoken(("hi", 1.5, 1.5))]
    turns = [Turn(0.0, 1.0, ANN), Turn(1.2, 2.0, BOB)]
    assert [each.speaker for each in assign(said, turns, NAMES)] == ["Ann", "Bob"]


def test_numbers_with_the_same_label_are_one_person():
    said = spoken(("hello", 0.0, 1.0), ("there", 1.0, 2.0))
    turns = [Turn(0.0, 1.0, 0), Turn(1.0, 2.0, 1)]
    assert who(assign([said], turns, {0: "Ann", 1: "Ann"})) == [("Ann", " hello there")]
    assert speakers_of(turns, {0: "Ann", 1: "Ann"}) == (Speaker("Ann", 2.0, 1.0),)


# Cuts that are not worth it


def test_a_word_that_two_turns_cover_almost_equally_makes_no_island():
    said = spoken(("so", 0.0, 1.0), ("a", 1.0, 1.3), ("plan", 1.3, 2.0))
    turns = [Turn(0.0, 1.12, ANN), Turn(1.12, 1.3, BOB), Turn(1.3, 2.0, ANN)]
    assert who(assign([said], turns, NAMES)) == [("Ann", " so a plan")]


def test_a_turn_that_ends_late_does_not_cut_off_the_first_word_of_the_next_sentence():
    said = spoken(("okay", 1.0, 1.3), ("let's", 1.3, 1.7), ("go", 1.7, 2.0))
    turns = [Turn(0.0, 1.2, ANN), Turn(1.2, 2.0, BOB)]
    assert who(assign([said], turns, NAMES)) == [("Bob", " okay let's go")]


def test_a_short_answer_inside_a_sentence_stays_who_gave_it():
    said = spoken(("we", 0.0, 0.5), ("meet", 0.5, 1.0), ("yes", 1.1, 1.4), ("tomorrow", 1.5, 2.0))
    turns = [Turn(0.0, 1.05, ANN), Turn(1.1, 1.4, BOB), Turn(1.45, 2.0, ANN)]
    assert who(assign([said], turns, NAMES)) == [("Ann", " we meet"), ("Bob", " yes"), ("Ann", " tomorrow")]


# Segments that are not cut


def test_a_segment_without_words_gets_the_person_who_speaks_most_in_it():
    said = [segment(0.0, 4.0, " hello how are you")]
    assert who(assign(said, [Turn(0.0, 1.0, ANN), Turn(1.0, 4.0, BOB)], NAMES)) == [("Bob", " hello how are you")]


def test_a_segment_whose_words_differ_from_its_text_is_not_cut():
    said = replace(spoken(("hello", 0.0, 1.0), ("hi", 1.0, 3.0)), text=" hello, you!")
    [whole] = assign([said], [Turn(0.0, 1.0, ANN), Turn(1.0, 3.0, BOB)], NAMES)
    assert (whole.text, whole.speaker, {word.speaker for word in whole.words}) == (" hello, you!", "Bob", {"Bob"})


def test_without_turns_nothing_changes():
    said = [spoken(("hello", 0.0, 1.0)), segment(1.0, 2.0, " you")]
    assert assign(said, [], {}) == said
    assert with_speakers(transcript(*said), [], {}) == transcript(*said)


# Overlap


@pytest.mark.parametrize(("end", "overlap"), [(1.1, False), (3.1, True)])
def test_overlap_is_marked_where_two_people_speak_in_a_fifth_of_a_segment(end, overlap):
    said = [segment(0.0, 10.0, " a long story")]
    [told] = assign(said, [Turn(0.0, 10.0, ANN), Turn(1.0, end, BOB)], NAMES)
    assert told.overlap is overlap


def test_two_turns_of_one_person_do_not_overlap():
    [told] = assign([segment(0.0, 2.0, " well")], [Turn(0.0, 2.0, ANN), Turn(0.0, 2.0, ANN)], NAMES)
    assert told.overlap is False


# Speakers


def test_speakers_are_listed_in_the_order_of_their_first_words_with_their_share():
    turns = [Turn(5.0, 6.0, ANN), Turn(0.0, 2.0, BOB), Turn(1.0, 3.0, BOB)]
    assert speakers_of(turns, NAMES) == (Speaker("Bob", 3.0, 0.75), Speaker("Ann", 1.0, 0.25))


def test_labels_are_numbered_in_the_order_of_the_first_words():
    turns = [Turn(5.0, 6.0, 0), Turn(0.0, 2.0, 7)]
    assert labels_of(turns) == {7: "SPEAKER_00", 0: "SPEAKER_01"}
    assert labels_of(turns, "Person ") == {7: "Person 00", 0: "Person 01"}
    with pytest.raises(InvalidParameter):
        labels_of(turns, "a\nb")


def test_letters_go_on_after_z_with_two():
    turns = [Turn(float(number), number + 1.0, number) for number in range(28)]
    labels = list(labels_of(turns, LETTERS).values())
    assert labels[:2] + labels[25:] == ["A", "B", "Z", "AA", "AB"]


def test_a_warning_follows_each_piece_of_its_segment():
    said = transcript(
        spoken(("so", 0.0, 1.0)), spoken(("hello", 1.0, 2.0), ("hi", 2.0, 3.0)), spoken(("bye", 3.0, 4.0))
    )
    warnings = tuple(
        Concern(number, 0.0, 0.0, "", Reason.NO_VOICE, Action.MARKED) if number is not None else DROPPED
        for number in (1, None, 2)
    )
    cut = with_speakers(replace(said, warnings=warnings), [Turn(0.0, 2.0, ANN), Turn(2.0, 4.0, BOB)], NAMES)
    assert [(warning.segment, warning.text) for warning in cut.warnings] == [
        (1, " hello"),
        (2, " hi"),
        (None, " thanks"),
        (3, " bye"),
    ]
    assert all(
        warning.segment is None or cut.segments[warning.segment].start == warning.start for warning in cut.warnings
    )
    assert [speaker.label for speaker in cut.speakers] == ["Ann", "Bob"]


DROPPED = Concern(None, 9.0, 9.5, " thanks", Reason.NO_VOICE, Action.DROPPED)


# New names


CONVERSATION = with_speakers(
    transcript(spoken(("hello", 0.0, 1.0), ("hi", 1.0, 3.0)), spoken(("bye", 3.0, 4.0))),
    [Turn(0.0, 1.2, 0), Turn(0.8, 3.0, 1), Turn(3.0, 4.0, 0)],
    {0: "SPEAKER_00", 1: "SPEAKER_01"},
)


def test_a_new_name_is_in_speakers_segments_and_words():
    named = renamed(CONVERSATION, {"SPEAKER_00": " Ann "})
    assert who(list(named.segments)) == [("Ann", " hello"), ("SPEAKER_01", " hi"), ("Ann", " bye")]
    assert [word.speaker for word in named.words] == ["Ann", "SPEAKER_01", "Ann"]
    assert [speaker.label for speaker in named.speakers] == ["Ann", "SPEAKER_01"]
    assert named.text == CONVERSATION.text


def test_names_can_be_swapped():
    swapped = renamed(CONVERSATION, {"SPEAKER_00": "SPEAKER_01", "SPEAKER_01": "SPEAKER_00"})
    assert [each.speaker for each in swapped.segments] == ["SPEAKER_01", "SPEAKER_00", "SPEAKER_01"]


def test_two_speakers_with_the_same_name_become_one():
    before = CONVERSATION.speakers
    named = renamed(CONVERSATION, {"SPEAKER_00": "Ann", "SPEAKER_01": "Ann"})
    [ann] = named.speakers
    assert (ann.label, ann.seconds, ann.share) == ("Ann", sum(speaker.seconds for speaker in before), 1.0)
    assert {(each.speaker, each.overlap) for each in named.segments} == {("Ann", False)}


def test_an_unknown_label_is_refused_with_the_known_ones():
    with pytest.raises(InvalidParameter, match=r"no speaker 'Bob'\. Its speakers are 'SPEAKER_00', 'SPEAKER_01'"):
        renamed(CONVERSATION, {"Bob": "Ann"})
    with pytest.raises(InvalidParameter, match="has no speakers"):
        renamed(transcript(), {"Bob": "Ann"})


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00b", "a\u2028b", "\ud800", "a\u202eb", "\u2066a", "n" * 101])
def test_an_invalid_name_is_refused(name):
    with pytest.raises(InvalidParameter):
        renamed(CONVERSATION, {"SPEAKER_00": name})


@pytest.mark.parametrize("name", ["n" * 100, "Jean\u00a0Paul", "مهدی\u200cزاده", "שרה\u200f", "<v Ann> & Bob", "李雷"])
def test_any_other_name_is_accepted(name):
    assert checked_name(name) == name


# Whatever is said by whomever


@st.composite
def spoken_segments(draw: st.DrawFn) -> list[Segment]:
    """Segments in order; their words may lack durations, spaces, text, or be missing."""
    clock, found = 0.0, []
    for texts in draw(
        st.lists(st.lists(st.sampled_from([" a", " word", "字", "", " —", " . "]), min_size=1), max_size=5)
    ):
        words = []
        for text in texts:
            begin = clock + draw(st.sampled_from([0.0, 0.1, 2.0]))
            clock = begin + draw(st.sampled_from([0.0, 0.1, 0.5]))
            words.append(Word(text, begin, clock, 0.9))
        kept = tuple(words) if draw(st.booleans()) else ()
        found.append(segment(words[0].start, clock, "".join(texts) + draw(st.sampled_from(["", " ", "?"])), kept))
    return found


turn_lists = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0, 3), st.integers(0, 3)).map(lambda t: Turn(t[0], t[0] + t[1], t[2])),
    max_size=8,
)


@given(spoken_segments(), turn_lists)
def test_no_text_and_no_word_is_lost_or_moved(said, turns):
    cut = assign(said, turns, labels_of(turns))
    assert "".join(each.text for each in cut) == "".join(each.text for each in said)
    assert [replace(word, speaker=None) for each in cut for word in each.words] == [
        word for each in said for word in each.words
    ]
    assert [token for each in cut for token in each.tokens] == [token for each in said for token in each.tokens]
    assert all(before.end <= after.start for before, after in pairwise(cut))


@given(spoken_segments(), turn_lists)
def test_every_word_has_exactly_the_speaker_of_its_segment_who_is_one_of_the_speakers(said, turns):
    named = with_speakers(transcript(*said), turns, labels_of(turns))
    labels = {speaker.label for speaker in named.speakers} or {None}
    for each in named.segments:
        assert each.speaker in labels
        assert {word.speaker for word in each.words} <= {each.speaker}


@given(turn_lists)
def test_shares_add_up_to_one(turns):
    speakers = speakers_of(turns, labels_of(turns))
    assert not speakers or sum(speaker.share for speaker in speakers) == pytest.approx(1.0)


@given(spoken_segments(), st.lists(st.tuples(st.floats(0, 20), st.floats(0.01, 3)), min_size=1, max_size=5))
def test_a_recording_of_one_person_is_not_cut(said, stretches):
    turns = [Turn(start, start + length, 0) for start, length in stretches]
    assert [replace(each, words=()) for each in assign(said, turns, {0: "Ann"})] == [
        replace(each, words=(), speaker="Ann") for each in said
    ]
