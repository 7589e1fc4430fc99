"""Subtitles stay within the limits of their layout and break where a reader expects it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import registry
from formats.registry import ResponseFormat
from formats.subtitles import srt, vtt
from formats.subtitles.cues import Cue, cues
from formats.subtitles.layout import SubtitleLayout, characters_per_second, frames, lay_out
from formats.subtitles.phrases import Ending, ending, glue, pieces, width
from tests.unit.formats.test_formats import segment, transcript
from transcription.core.errors import InvalidParameter, WrongJobState
from transcription.core.transcript import Segment, Word

SUBTITLES = [ResponseFormat.SRT, ResponseFormat.VTT, ResponseFormat.TSV, ResponseFormat.LRC]


def evenly_spoken(text: str, start: float = 0.0, seconds_a_word: float = 0.5) -> Segment:
    """A segment whose words have equal durations and no pauses between them."""
    words = tuple(
        Word(f" {word}", start + place * seconds_a_word, start + (place + 1) * seconds_a_word, 0.9)
        for place, word in enumerate(text.split())
    )
    return segment(start, words[-1].end, f" {text}", words)


def screens(text: str, **layout: object) -> list[list[str]]:
    """The lines of each cue."""
    return [lines(cue) for cue in lay_out(transcript(evenly_spoken(text)), SubtitleLayout(**layout))]


def lines(cue: Cue) -> list[str]:
    return cue.on_screen(str).split("\n")


# Lines and cues


@pytest.mark.parametrize("response_format", ResponseFormat)
def test_without_a_layout_each_segment_is_a_cue(response_format):
    spoken = transcript(evenly_spoken("one two three"), evenly_spoken("four", 2.0))
    assert list(lay_out(spoken, None)) == list(cues(spoken))
    assert registry.render(spoken, response_format) == registry.render(spoken, response_format, None)


def test_a_text_that_fits_on_a_line_stays_on_one():
    assert screens("hello there", max_line_width=42) == [["hello there"]]


def test_a_text_that_fits_on_two_lines_is_broken_evenly():
    assert screens("I can see the blue house behind those trees", max_line_width=30) == [
        ["I can see the blue", "house behind those trees"]
    ]


def test_a_cue_has_one_line_if_the_layout_says_so():
    assert all(len(lines) == 1 for lines in screens("one two three four five six", max_line_width=10, max_line_count=1))


def test_the_number_of_words_per_line_is_limited():
    assert screens("one two three four five", max_words_per_line=1) == [["one"], ["two"], ["three"], ["four"], ["five"]]


def test_limits_of_words_and_of_lines_combine():
    assert screens("ab cd ef gh", max_words_per_line=2, max_line_count=2) == [["ab cd", "ef gh"]]


def test_no_cue_lasts_longer_than_the_limit():
    spoken = transcript(evenly_spoken("one two three four five six seven"))
    assert all(cue.end - cue.start <= 1500 for cue in lay_out(spoken, SubtitleLayout(max_cue_duration=1.5)))


def test_a_word_wider_than_the_line_is_kept_whole_on_its_own_line():
    assert ["Donaudampfschifffahrt"] in screens("die Donaudampfschifffahrt ist alt", max_line_width=8, max_line_count=1)


# Places to break


def test_a_cue_ends_at_the_end_of_a_sentence():
    text = "Nobody knew why. They went home early and slept for a long time"
    assert screens(text, max_line_width=26, max_line_count=2)[0] == ["Nobody knew why."]


def test_a_cue_ends_at_the_end_of_a_clause():
    text = "when it rains in spring, the river behind our old house rises"
    assert screens(text, max_line_width=40, max_line_count=1)[0] == ["when it rains in spring,"]


def test_a_cue_ends_at_a_pause():
    said = [(0.0, "we"), (0.4, "were"), (0.8, "glad"), (2.5, "it"), (2.9, "was"), (3.3, "over"), (3.7, "then")]
    words = tuple(Word(f" {word}", start, start + 0.4, 0.9) for start, word in said)
    spoken = transcript(segment(0.0, 4.1, " we were glad it was over then", words))
    first = lay_out(spoken, SubtitleLayout(max_line_width=20, max_line_count=1))[0]
    assert (first.text, first.start, first.end) == ("we were glad", 0, 1200)


@pytest.mark.parametrize(
    "together",
    [
        *("10 km", "25 %", "3.5 kg", "10 000", "ten kilometers", "zehn Kilometer", "dix kilomètres", "diez kilómetros"),
        *("$ 5", "No. 5", "7 March", "3. Mai", "12 Uhr", "5 million"),
        *("Dr. Smith", "Mrs Jones", "Prof. Dr. Weber", "Herr Weber", "Mme Dupont", "Sra. García", "dr. smith"),
        *("J. Smith", "J.R.R. Tolkien", "New York", "Anna Maria Lopez", "Boeing 747"),
    ],
)
@pytest.mark.parametrize("line_width", range(20, 30))
def test_a_number_and_its_unit_or_a_title_and_its_name_stay_on_a_line(together, line_width):
    text = f"then we went there and saw {together} with all of those who had come from far away"
    broken = itertools.chain.from_iterable(screens(text, max_line_width=line_width))
    assert any(together in line for line in broken)


def test_a_title_is_separated_from_its_name_only_if_they_do_not_fit():
    assert screens("Dr. Schmidtbauer", max_line_width=12) == [["Dr.", "Schmidtbauer"]]


def test_names_are_separated_before_a_title_is():
    found = screens("Dr. Anna Schmidtbauer", max_line_width=13)
    assert found == [["Dr. Anna", "Schmidtbauer"]]


@pytest.mark.parametrize("pair", [("London,", "Paris"), ("home.", "They"), ("10", "people"), ("the", "river")])
def test_a_line_may_be_broken_between_other_words(pair):
    assert not glue(*pair)


def test_the_full_stop_of_a_title_does_not_end_a_sentence():
    assert ending("Dr.", "Smith") is Ending.WORD
    assert ending("home.", "Smith") is Ending.SENTENCE


# Text without spaces


def test_japanese_is_broken_between_characters_and_at_its_punctuation():
    spoken = transcript(segment(0, 8, "明日は雨が降るそうですから、家で本を読みます。"))
    assert [lines(cue) for cue in lay_out(spoken, SubtitleLayout(max_line_width=16))] == [
        ["明日は雨が降るそうですから、", "家で本を読みます。"]
    ]


@given(st.text("漢字かなカナ、。「」ーっ", min_size=1, max_size=60), st.integers(5, 20))
def test_no_line_begins_with_a_closing_mark_or_ends_with_an_opening_one(text, line_width):
    parts = pieces(text)
    assert "".join(part.text for part in parts) == text
    assert not any(part.text[0] in "、。」ーっ" for part in parts[1:])
    assert not any(part.text[-1] == "「" for part in parts[:-1])


def test_a_full_width_character_counts_as_one_and_a_combining_mark_as_none():
    assert (width("漢字"), width("e\u0301")) == (2, 1)


# Times


def test_without_word_times_the_time_of_a_segment_is_divided_by_characters():
    spoken = transcript(segment(0.0, 10.0, " aaaaaaaa bb"))
    assert [(cue.start, cue.end) for cue in lay_out(spoken, SubtitleLayout(max_words_per_line=1))] == [
        (0, 8000),
        (8000, 10000),
    ]


def test_the_gap_shortens_the_earlier_cue():
    spoken = transcript(evenly_spoken("one"), evenly_spoken("two", 0.5))
    assert [(cue.start, cue.end) for cue in lay_out(spoken, SubtitleLayout(min_gap=0.1))] == [(0, 400), (500, 1000)]


# Highlighting


def test_each_word_is_underlined_in_turn():
    spoken = transcript(evenly_spoken("one two"))
    assert srt.render(spoken, SubtitleLayout(highlight_words=True)) == (
        "1\n00:00:00,000 --> 00:00:00,500\n<u>one</u> two\n\n2\n00:00:00,500 --> 00:00:01,000\none <u>two</u>\n"
    )


def test_nothing_is_underlined_in_a_pause():
    words = (Word(" a", 0.0, 0.4, 0.9), Word(" b", 1.0, 1.4, 0.9))
    shown = vtt.render(transcript(segment(0.0, 1.4, " a b", words)), SubtitleLayout(highlight_words=True))
    assert "00:00:00.400 --> 00:00:01.000\na b\n" in shown


def test_a_word_without_a_duration_shares_the_time_of_its_neighbour():
    words = (Word(" a", 0.0, 0.4, 0.9), Word(" b", 0.4, 0.4, 0.9), Word(" c", 0.4, 0.8, 0.9))
    layout = SubtitleLayout(highlight_words=True)
    (cue,) = lay_out(transcript(segment(0.0, 0.8, " a b c", words)), layout)
    assert [(frame.highlighted, frame.start, frame.end) for frame in frames(cue, layout)] == [
        (0, 0, 400),
        (1, 400, 600),
        (2, 600, 800),
    ]


def test_markup_is_escaped_inside_a_highlighted_word():
    assert "<u>&lt;b&gt;</u>" in vtt.render(transcript(evenly_spoken("<b>")), SubtitleLayout(highlight_words=True))


def test_words_without_times_cannot_be_highlighted():
    with pytest.raises(WrongJobState, match="Submit the recording again with highlight_words=true"):
        registry.render(transcript(segment(0, 1, " hi")), ResponseFormat.SRT, SubtitleLayout(highlight_words=True))


# Reading speed


def test_cues_that_are_too_fast_are_counted_and_noted():
    spoken = transcript(segment(0.0, 1.0, " " + "a" * 25), segment(2.0, 4.0, " slow"))
    layout = SubtitleLayout(max_chars_per_second=20)
    shown = registry.render(spoken, ResponseFormat.VTT, layout)
    assert shown.fast_cues == 1
    assert shown.body.startswith("WEBVTT\n\nNOTE 25.0 characters a second\n\n00:00:00.000")


def test_fast_cues_are_not_counted_unless_requested():
    assert registry.render(transcript(evenly_spoken("hi")), ResponseFormat.SRT, SubtitleLayout()).fast_cues is None


# Formats


@pytest.mark.parametrize("response_format", [ResponseFormat.JSON, ResponseFormat.VERBOSE_JSON, ResponseFormat.TEXT])
def test_a_layout_is_refused_for_a_format_without_cues(response_format):
    with pytest.raises(InvalidParameter, match="Send srt, vtt, tsv or lrc"):
        registry.check_layout(SubtitleLayout(max_line_width=42), response_format)


@pytest.mark.parametrize("response_format", [ResponseFormat.TSV, ResponseFormat.LRC])
@pytest.mark.parametrize("layout", [SubtitleLayout(highlight_words=True), SubtitleLayout(max_line_count=2)])
def test_tsv_and_lrc_refuse_several_lines_and_highlighted_words(response_format, layout):
    with pytest.raises(InvalidParameter):
        registry.check_layout(layout, response_format)


def test_tsv_has_a_row_for_each_line():
    spoken, layout = transcript(evenly_spoken("one two three four")), SubtitleLayout(max_line_width=9)
    assert registry.render(spoken, ResponseFormat.TSV, layout).body == (
        "start\tend\ttext\n0\t1000\tone two\n1000\t1500\tthree\n1500\t2000\tfour\n"
    )


@pytest.mark.parametrize("response_format", SUBTITLES)
def test_without_speech_the_layout_makes_no_difference(response_format):
    layout = SubtitleLayout(max_line_width=42, highlight_words=True)
    assert (
        registry.render(transcript(), response_format, layout).body
        == registry.render(transcript(), response_format).body
    )


def test_the_reading_speed_counts_spaces():
    assert characters_per_second(Cue(0, 1000, "ab cd")) == 5
