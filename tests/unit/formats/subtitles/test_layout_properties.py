"""Properties of laid out subtitles, for any transcript and any layout."""

import itertools
from dataclasses import replace
from io import StringIO

import pysubs2
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.subtitles import srt, vtt
from formats.subtitles.cues import one_line
from formats.subtitles.layout import SubtitleLayout, frames, lay_out
from formats.subtitles.phrases import width
from tests.unit.formats.subtitles.test_layout import evenly_spoken, lines
from tests.unit.formats.test_formats import segment, transcript
from transcription.core.transcript import Transcript, Word

VOCABULARY = [
    "a",
    "the",
    "Dr.",
    "Smith",
    "10",
    "km",
    "New",
    "York",
    "house,",
    "end.",
    "Über",
    "日本語。",
    "naïve",
    "-->",
]
gaps = st.floats(0, 1.5)


@st.composite
def spoken_segments(draw: st.DrawFn) -> Transcript:
    """Segments in order, with and without word times."""
    clock, found = 0.0, []
    for _ in range(draw(st.integers(0, 4))):
        clock += draw(gaps)
        start, words = clock, []
        for text in draw(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=25)):
            begin = clock + draw(st.sampled_from([0.0, 0.0, 0.6]))
            clock = begin + draw(st.sampled_from([0.0, 0.05, 0.3, 2.5]))
            words.append(Word(f" {text}", begin, clock, 0.9))
        said = "".join(word.text for word in words)
        found.append(segment(start, clock, said, tuple(words) if draw(st.booleans()) else ()))
    return transcript(*found)


layouts = st.builds(
    SubtitleLayout,
    max_line_width=st.none() | st.integers(5, 45),
    max_line_count=st.none() | st.integers(1, 3),
    max_words_per_line=st.none() | st.integers(1, 8),
    max_cue_duration=st.none() | st.floats(0.5, 8),
    min_gap=st.sampled_from([0.0, 0.083, 0.5]),
)


@given(spoken_segments(), layouts)
@settings(deadline=None)
def test_no_text_is_lost(spoken, layout):
    said = "".join(one_line(part.text) for part in spoken.segments).replace(" ", "")
    assert "".join(cue.text for cue in lay_out(spoken, layout)).replace(" ", "") == said


@given(spoken_segments(), layouts)
@settings(deadline=None)
def test_cues_do_not_overlap_and_keep_the_gap(spoken, layout):
    laid = lay_out(spoken, layout)
    assert all(cue.start < cue.end for cue in laid)
    for before, after in itertools.pairwise(laid):
        assert before.end <= after.start
        assert before.end <= after.start - round(layout.min_gap * 1000) or before.end == before.start + 1


@given(spoken_segments(), layouts)
@settings(deadline=None)
def test_only_a_single_word_may_exceed_a_limit(spoken, layout):
    most_lines = layout.max_line_count or (2 if layout.max_line_width else 1)
    for cue in lay_out(spoken, layout):
        shown = [[word for word in cue.words if word.line == line] for line in range(cue.words[-1].line + 1)]
        assert len(shown) <= most_lines
        if layout.max_cue_duration and len(cue.words) > 1:
            assert cue.end - cue.start <= max(1, round(layout.max_cue_duration * 1000))
        for words, text in zip(shown, lines(cue), strict=True):
            assert words
            assert layout.max_line_width is None or width(text) <= layout.max_line_width or len(words) == 1
            assert layout.max_words_per_line is None or len(words) <= layout.max_words_per_line


@given(spoken_segments(), layouts)
@settings(deadline=None)
def test_highlighting_fills_each_cue_without_overlap(spoken, layout):
    highlighting = SubtitleLayout(max_line_width=layout.max_line_width, highlight_words=True)
    for cue in lay_out(spoken, highlighting):
        shown = list(frames(cue, highlighting))
        assert (shown[0].start, shown[-1].end) == (cue.start, cue.end)
        assert all(frame.start < frame.end for frame in shown)
        assert all(before.end == after.start for before, after in itertools.pairwise(shown))
        lit = [frame.highlighted for frame in shown if frame.highlighted is not None]
        assert lit == list(range(len(cue.words)))[: cue.end - cue.start]


@given(spoken_segments(), layouts)
@settings(deadline=None)
def test_pysubs2_reads_back_the_cues(spoken, layout):
    # pysubs2 takes a number on the last line of a file for the number of another cue.
    spoken = replace(spoken, segments=(*spoken.segments, evenly_spoken("the end", spoken.duration * 1000)))
    laid = lay_out(spoken, layout)
    read = pysubs2.SSAFile.from_string(srt.render(spoken, layout), format_="srt")
    assert [(event.start, event.end, event.plaintext) for event in read] == [
        (cue.start, cue.end, cue.on_screen(lambda text: text.replace("-->", "->"))) for cue in laid
    ]


@given(spoken_segments(), layouts)
@settings(deadline=None)
def test_webvtt_py_reads_back_the_cues(spoken, layout):
    laid = lay_out(spoken, layout)
    read = webvtt.from_buffer(StringIO(vtt.render(spoken, layout)))
    assert [(caption.start, caption.end, caption.text) for caption in read] == [
        (stamp(cue.start), stamp(cue.end), cue.on_screen(lambda text: text.replace(">", "&gt;"))) for cue in laid
    ]


def stamp(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:03d}"
