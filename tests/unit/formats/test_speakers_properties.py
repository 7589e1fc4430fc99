"""Whatever the names are, formats read back as names and text, and the text is the same as without speakers."""

from dataclasses import replace
from html import unescape
from io import StringIO
from itertools import groupby

import pysubs2
import pytest
import webvtt  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.audio import TranscriptionDiarized

from formats import openai, registry, rttm, text, verbose_json
from formats.registry import ResponseFormat
from formats.subtitles import lrc, srt, tsv, vtt
from formats.subtitles.cues import clock, cues, one_line
from formats.subtitles.layout import SubtitleLayout, frames, lay_out
from formats.subtitles.phrases import width
from tests.unit.formats.subtitles.test_layout import evenly_spoken
from tests.unit.formats.subtitles.test_layout_properties import layouts, spoken_segments
from tests.unit.formats.test_formats import transcript
from tests.unit.formats.test_speakers import TALK, conversation, said_by
from transcription.core.transcript import Segment, Transcript

NASTY = [
    "<v Bob>",
    "a & b",
    "x-->y",
    "1\n\n2",
    "\t",
    "\r",
    "</v>",
    "&lt;",
    "[00:01.00]",
    "Ann:",
    "\u2028",
    "\x85",
    "<NA>",
    " ",
]
names = st.none() | st.sampled_from(NASTY) | st.text(max_size=20)


@st.composite
def conversations(draw: st.DrawFn) -> Transcript:
    segments = draw(spoken_segments()).segments
    people = draw(st.lists(names, min_size=1, max_size=3))
    return conversation(*(said_by(draw(st.sampled_from(people)), part) for part in segments))


def without_speakers(spoken: Transcript) -> Transcript:
    return transcript(*(said_by(None, part) for part in spoken.segments))


def name_of(part: Segment) -> str:
    return one_line(part.speaker or "")


@given(conversations())
def test_the_text_of_json_is_the_same_with_and_without_speakers(spoken):
    named, plain = verbose_json.to_dict(spoken), verbose_json.to_dict(without_speakers(spoken))
    named.pop("speakers", None)
    for part in named["segments"]:
        assert part.pop("speaker", None) is not None or "overlap" not in part
        part.pop("overlap", None)
    assert named == plain


@given(conversations())
@settings(deadline=None)
def test_srt_reads_back_as_names_and_text(spoken):
    blocks = [block.split("\n") for block in srt.render(spoken).removesuffix("\n").split("\n\n") if block]
    expected = [
        f"{name_of(part)}: {one_line(part.text)}" if name_of(part) else one_line(part.text) for part in spoken.segments
    ]
    assert [block[0] for block in blocks] == [str(number) for number in range(1, len(blocks) + 1)]
    assert [block[1] for block in blocks] == [
        f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}" for cue in cues(spoken)
    ]
    assert [block[2:] for block in blocks] == [[srt.ARROW.sub("->", line)] for line in expected]


@given(conversations(), layouts)
@settings(deadline=None)
def test_vtt_reads_back_as_voices_and_text(spoken, layout):
    laid = lay_out(spoken, layout)
    read = list(webvtt.from_buffer(StringIO(vtt.render(spoken, layout))))
    assert [unescape(caption.voice or "") for caption in read] == [cue.speaker for cue in laid]
    assert [unescape(caption.text) for caption in read] == [cue.on_screen(str) for cue in laid]
    assert vtt.render(spoken, layout).count("<") == sum(bool(cue.speaker) for cue in laid)


@given(conversations(), layouts)
@settings(deadline=None)
def test_pysubs2_reads_as_many_cues_as_there_are(spoken, layout):
    # pysubs2 takes a number on the last line of a file for the number of another cue.
    spoken = replace(spoken, segments=(*spoken.segments, evenly_spoken("the end", spoken.duration * 1000)))
    for written, kind, laid in (
        (srt.render(spoken, layout), "srt", lay_out(spoken, layout, srt.named)),
        (vtt.render(spoken, layout), "vtt", lay_out(spoken, layout)),
    ):
        read = pysubs2.SSAFile.from_string(written, format_=kind)
        assert [(event.start, event.end) for event in read] == [(cue.start, cue.end) for cue in laid]


@given(conversations(), layouts)
@settings(deadline=None)
def test_a_layout_loses_no_text_and_no_cue_has_two_speakers(spoken, layout):
    laid = lay_out(spoken, layout, srt.named)
    for speaker, parts in groupby(spoken.segments, key=name_of):
        said = "".join(one_line(part.text) for part in parts).replace(" ", "")
        while said:
            cue = laid.pop(0)
            assert cue.speaker == speaker
            shown = cue.text.replace(" ", "")
            assert said.startswith(shown) and shown
            said = said.removeprefix(shown)
    assert laid == []


@given(conversations(), layouts)
@settings(deadline=None)
def test_only_a_single_word_and_its_name_may_exceed_the_width(spoken, layout):
    for cue in lay_out(spoken, layout, srt.named):
        for number, line in enumerate(cue.on_screen(str).split("\n")):
            words = sum(word.line == number for word in cue.words)
            assert layout.max_line_width is None or width(line) <= layout.max_line_width or words == 1


@given(conversations())
@settings(deadline=None)
def test_a_name_is_written_into_every_frame_of_a_highlighted_cue(spoken):
    layout = SubtitleLayout(highlight_words=True)
    for cue in lay_out(spoken, layout, srt.named):
        assert all(frame.on_screen(str).startswith(cue.prefix) for frame in frames(cue, layout))


@given(conversations())
def test_text_reads_back_as_names_and_text(spoken):
    expected = [
        (f"{name_of(parts[0])}: " if name_of(parts[0]) else "") + one_line("".join(part.text for part in parts))
        for parts in (list(group) for _, group in groupby(spoken.segments, key=lambda part: part.speaker))
    ]
    if spoken.speakers:
        assert text.render(spoken).removesuffix("\n").split("\n\n") == expected


@given(conversations())
def test_every_row_of_tsv_has_as_many_columns_as_its_header(spoken):
    header, *rows = [line.split("\t") for line in tsv.render(spoken).removesuffix("\n").split("\n")]
    assert header == (["start", "end", "text", "speaker"] if spoken.speakers else ["start", "end", "text"])
    assert [row[2:] for row in rows] == [
        [one_line(part.text), name_of(part)][: len(header) - 2] for part in spoken.segments
    ]


@given(conversations())
def test_lrc_has_one_timestamp_a_line(spoken):
    for line in lrc.render(spoken).splitlines():
        stamps = lrc_stamps(line)
        assert stamps[0] == line[: len(stamps[0])] and len(stamps) == 1


def lrc_stamps(line: str) -> list[str]:
    return [f"[{rest.partition(']')[0]}]" for rest in line.split("[")[1:] if ":" in rest.partition("]")[0]]


@given(conversations())
def test_every_line_of_rttm_has_ten_fields(spoken):
    lines = rttm.render(spoken).split("\n")
    assert lines.pop() == ""
    for line in lines:
        fields = line.split(" ")
        assert len(fields) == 10 and all(fields)
        assert float(fields[3]) >= 0 and float(fields[4]) >= 0
    assert bool(lines) == bool(spoken.speakers)


@given(conversations())
def test_any_conversation_is_valid_diarized_json(spoken):
    answer = TranscriptionDiarized.model_validate_json(openai.render_diarized_json(spoken), strict=True)
    assert [part.text for part in answer.segments] == [part.text.strip() for part in spoken.segments]


@pytest.mark.parametrize("response_format", ResponseFormat)
def test_a_transcript_without_speakers_names_none(response_format):
    plain = without_speakers(TALK)
    assert "speaker" not in registry.render(plain, response_format).body.lower()
