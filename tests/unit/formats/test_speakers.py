"""Every format says who speaks, and nothing in a name can be read as anything else."""

import json
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

from formats import json as formats_json
from formats import openai, registry, rttm, text, verbose_json, webservice
from formats.registry import ResponseFormat
from formats.subtitles import lrc, srt, tsv, vtt
from formats.subtitles.cues import clock, cues, one_line
from formats.subtitles.layout import SubtitleLayout, frames, lay_out
from formats.subtitles.phrases import width
from tests.unit.formats.subtitles.test_layout import evenly_spoken
from tests.unit.formats.subtitles.test_layout_properties import layouts, spoken_segments
from tests.unit.formats.test_formats import NOTICE, segment, transcript
from transcription.core.speakers import Speaker
from transcription.core.transcript import Segment, Transcript, Word


def said_by(speaker: str | None, part: Segment) -> Segment:
    return replace(part, speaker=speaker, words=tuple(replace(word, speaker=speaker) for word in part.words))


def conversation(*segments: Segment, words: bool = False) -> Transcript:
    labels = dict.fromkeys(part.speaker for part in segments if part.speaker is not None)
    speakers = tuple(Speaker(label, 1.2345, 1 / len(labels)) for label in labels)
    return replace(transcript(*segments, words=words), speakers=speakers)


TALK = conversation(
    said_by("Ann", segment(0.0, 1.5, " hello there.")),
    said_by("Ann", segment(1.5, 2.0, " How are you?")),
    said_by("Bob", segment(2.25, 3.0, " Fine.", (Word(" Fine.", 2.25, 3.0, 0.96),))),
    words=True,
)


def test_json_names_the_speaker_of_segments_and_words_and_lists_all():
    document = json.loads(formats_json.render(TALK))
    assert [(part["speaker"], part["overlap"]) for part in document["segments"]] == [
        ("Ann", False),
        ("Ann", False),
        ("Bob", False),
    ]
    assert document["words"] == [{"word": "Fine.", "start": 2.25, "end": 3.0, "confidence": 0.96, "speaker": "Bob"}]
    assert document["speakers"] == [
        {"label": "Ann", "seconds": 1.23, "share": 0.5},
        {"label": "Bob", "seconds": 1.23, "share": 0.5},
    ]


def test_json_marks_segments_that_others_speak_in():
    talk = conversation(replace(TALK.segments[0], overlap=True))
    assert formats_json.to_dict(talk)["segments"][0]["overlap"] is True


def test_verbose_json_names_the_speaker_of_the_words_of_a_segment():
    document = verbose_json.to_dict(TALK)
    assert document["segments"][2]["words"][0]["speaker"] == "Bob"
    assert [speaker["label"] for speaker in document["speakers"]] == ["Ann", "Bob"]


def test_text_has_a_paragraph_whenever_another_one_speaks():
    assert text.render(TALK) == "Ann: hello there. How are you?\n\nBob: Fine.\n"


def test_text_whose_speaker_is_unknown_has_no_name():
    assert text.render(conversation(segment(0.0, 1.0, " La la."), *TALK.segments[2:])) == "La la.\n\nBob: Fine.\n"


def test_srt_begins_each_cue_with_the_name():
    assert srt.render(TALK) == (
        "1\n00:00:00,000 --> 00:00:01,500\nAnn: hello there.\n\n"
        "2\n00:00:01,500 --> 00:00:02,000\nAnn: How are you?\n\n"
        "3\n00:00:02,250 --> 00:00:03,000\nBob: Fine.\n"
    )


def test_vtt_has_a_voice_for_each_cue():
    assert vtt.render(conversation(TALK.segments[2])) == ("WEBVTT\n\n00:00:02.250 --> 00:00:03.000\n<v Bob>Fine.\n")


def test_tsv_has_a_fourth_column():
    assert tsv.render(conversation(segment(0.0, 1.0, " La la."), TALK.segments[2])) == (
        "start\tend\ttext\tspeaker\n0\t1000\tLa la.\t\n2250\t3000\tFine.\tBob\n"
    )


def test_lrc_has_the_name_in_brackets():
    assert lrc.render(conversation(TALK.segments[2])) == "[00:02.25][Bob] Fine.\n[00:03.00]\n"


def test_a_name_in_lrc_is_not_read_as_another_timestamp():
    assert lrc.render(conversation(said_by("[01:00.00]", segment(0.0, 1.0, " hi")))).startswith(
        "[00:00.00][(01.00.00)] hi"
    )


def test_rttm_has_a_line_for_each_stretch_of_speech():
    later = said_by("Ann Lee", segment(60.0, 61.5, " Bye."))
    assert rttm.render(conversation(*TALK.segments, later), "my call.wav") == (
        "SPEAKER my_call.wav 1 0.000 2.000 <NA> <NA> Ann <NA> <NA>\n"
        "SPEAKER my_call.wav 1 2.250 0.750 <NA> <NA> Bob <NA> <NA>\n"
        "SPEAKER my_call.wav 1 60.000 1.500 <NA> <NA> Ann_Lee <NA> <NA>\n"
    )


def test_rttm_keeps_stretches_that_overlap():
    talk = conversation(said_by("Ann", segment(0.0, 5.0, " so")), said_by("Bob", segment(1.0, 2.0, " yes")))
    assert [line.split()[3:5] for line in rttm.render(talk).splitlines()] == [["0.000", "5.000"], ["1.000", "1.000"]]


def test_the_webservices_json_names_the_speaker_as_whisperx_does():
    document = json.loads(webservice.render_json(TALK))
    assert [part["speaker"] for part in document["segments"]] == ["Ann", "Ann", "Bob"]
    assert document["segments"][2]["words"][0]["speaker"] == "Bob"


def test_the_webservices_text_names_the_speaker_as_whisperx_does():
    assert webservice.render_text(TALK) == "[Ann]: hello there.\n[Ann]: How are you?\n[Bob]: Fine.\n"


# OpenAI's diarized_json


def test_diarized_json_is_what_openais_client_expects():
    body = openai.render_diarized_json(TALK)
    answer = TranscriptionDiarized.model_validate_json(body, strict=True)
    assert not answer.model_extra and not any(part.model_extra for part in answer.segments)
    assert (answer.task, answer.duration, answer.text) == ("transcribe", 12.5, TALK.text)
    assert [(part.id, part.speaker, part.text) for part in answer.segments] == [
        ("seg_001", "Ann", "hello there."),
        ("seg_002", "Ann", "How are you?"),
        ("seg_003", "Bob", "Fine."),
    ]
    assert answer.usage is not None and answer.usage.type == "duration"


def test_diarized_json_is_valid_without_speech_and_without_voices():
    for spoken in (transcript(), transcript(segment(0.0, 1.0, " La la."))):
        TranscriptionDiarized.model_validate_json(openai.render_diarized_json(spoken), strict=True)


def test_diarized_json_shows_what_is_to_know_about_the_file():
    document = json.loads(openai.render_diarized_json(replace(TALK, notices=(NOTICE,))))
    assert document["warnings"][0]["code"] == NOTICE.code


# Layouts


def test_a_name_is_part_of_the_first_line_of_its_segment():
    spoken = said_by("Ann", evenly_spoken("one two three four five six"))
    laid = lay_out(conversation(spoken), SubtitleLayout(max_line_width=14, max_line_count=1), srt.named)
    assert [cue.on_screen(str) for cue in laid] == ["Ann: one two", "three four", "five six"]


def test_a_name_is_not_underlined():
    spoken = conversation(said_by("Ann", evenly_spoken("one two")))
    layout = SubtitleLayout(highlight_words=True)
    assert "\nAnn: <u>one</u> two\n" in srt.render(spoken, layout)
    assert "\n<v Ann><u>one</u> two\n" in vtt.render(spoken, layout)


def test_the_cues_that_are_counted_as_too_fast_are_those_with_their_names():
    spoken = conversation(said_by("Bartholomew", evenly_spoken("one two three")))
    layout = SubtitleLayout(max_chars_per_second=10)
    assert registry.render(spoken, ResponseFormat.SRT, layout).fast_cues == 1
    assert registry.render(spoken, ResponseFormat.VTT, layout).fast_cues == 0


def test_where_two_speak_at_the_same_time_a_cue_ends_when_the_next_one_starts():
    talk = conversation(said_by("Ann", segment(0.0, 5.0, " so")), said_by("Bob", segment(3.0, 4.0, " yes")))
    assert [(cue.start, cue.end, cue.speaker) for cue in cues(talk)] == [(0, 3000, "Ann"), (3000, 4000, "Bob")]


# Any name, any text

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
