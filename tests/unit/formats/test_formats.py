"""Every format is a pure function of a transcript."""

import itertools
import json
import math
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import json as formats_json
from formats import openai, registry, text, verbose_json, webservice
from formats.registry import ResponseFormat
from formats.subtitles import cues, lrc, srt, tsv, vtt
from transcription.core.options import Task
from transcription.core.transcript import TRUNCATED_MEDIA, Action, Concern, Notice, Reason, Segment, Transcript, Word

HOUR = 3600.0


def segment(start: float, end: float, said: str, words: tuple[Word, ...] = ()) -> Segment:
    return Segment(
        start=start,
        end=end,
        text=said,
        tokens=(1, 2),
        avg_logprob=math.log(0.9),
        compression_ratio=1.1,
        no_speech_prob=0.01,
        temperature=0.0,
        words=words,
    )


def transcript(*segments: Segment, words: bool = False) -> Transcript:
    return Transcript(
        language="en",
        language_probability=0.98765,
        duration=12.5,
        segments=segments,
        model="demo",
        word_timestamps=words,
        processing_time=1.23456,
    )


TWO_LINES = transcript(segment(0.0, 1.5, " hello there"), segment(2.25, 3.0, " see you"))
EMPTY = transcript()


def test_json_has_exactly_the_documented_fields():
    document = json.loads(registry.render(TWO_LINES, ResponseFormat.JSON).body)
    assert document == {
        "text": "hello there see you",
        "language": "en",
        "language_probability": 0.9877,
        "duration": 12.5,
        "segments": [
            {"id": 0, "start": 0.0, "end": 1.5, "text": "hello there", "confidence": 0.9},
            {"id": 1, "start": 2.25, "end": 3.0, "text": "see you", "confidence": 0.9},
        ],
        "processing_time": 1.235,
    }


def test_json_lists_words_if_they_were_requested():
    spoken = transcript(segment(0.0, 0.4, " hello", (Word(" hello", 0.02, 0.4, 0.96),)), words=True)
    assert formats_json.to_dict(spoken)["words"] == [{"word": "hello", "start": 0.02, "end": 0.4, "confidence": 0.96}]


def test_json_has_an_empty_list_of_words_if_they_were_requested_and_there_is_no_speech():
    assert formats_json.to_dict(transcript(words=True))["words"] == []


def test_verbose_json_adds_the_decoders_figures_and_the_warnings():
    document = json.loads(verbose_json.render(TWO_LINES))
    assert document["task"] == "transcribe"
    assert document["model"] == "demo"
    assert document["warnings"] == []
    assert set(document["segments"][0]) == {
        *("id", "start", "end", "text", "confidence"),
        *("seek", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"),
    }


def test_verbose_json_lists_dropped_and_marked_segments_with_their_reason():
    dropped = Concern(None, 4.0, 5.504, " thanks for watching", Reason.NO_VOICE, Action.DROPPED)
    marked = Concern(1, 2.25, 3.0, " see you", Reason.REPETITION, Action.MARKED)
    first, second = verbose_json.to_dict(replace(TWO_LINES, warnings=(dropped, marked)))["warnings"]
    assert first == {
        "code": "suspected_hallucination",
        "segment": None,
        "start": 4.0,
        "end": 5.5,
        "text": "thanks for watching",
        "reason": "no_voice",
        "action": "dropped",
        "message": "Little or no voice was detected here, and the model is unsure of the words. "
        "Send hallucinations=mark to keep such segments.",
    }
    assert (second["segment"], second["reason"], second["action"]) == (1, "repetition", "marked")


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("action", Action)
def test_every_warning_has_a_message(reason, action):
    spoken = replace(TWO_LINES, warnings=(Concern(0, 0.0, 1.5, " hello there", reason, action),))
    assert verbose_json.to_dict(spoken)["warnings"][0]["message"].endswith(".")


NOTICE = Notice(TRUNCATED_MEDIA, "The file breaks off.", start=3.958, end=8.0)
JSON_WRITERS = {
    "json": formats_json.render,
    "verbose_json": verbose_json.render,
    "openai json": openai.render_json,
    "openai verbose_json": partial(openai.render_verbose_json, segments=True, words=False),
    "webservice json": webservice.render_json,
}


@pytest.mark.parametrize("write", JSON_WRITERS.values(), ids=JSON_WRITERS)
def test_every_json_format_shows_what_is_to_know_about_the_file(write):
    noticed = json.loads(write(replace(TWO_LINES, notices=(NOTICE,))))
    assert noticed["warnings"] == [
        {"code": "truncated_media", "message": "The file breaks off.", "start": 3.96, "end": 8.0}
    ]
    assert not json.loads(write(TWO_LINES)).get("warnings")


def test_a_notice_about_the_whole_file_has_no_times():
    assert formats_json.notice_to_dict(Notice("other", "Hm.")) == {"code": "other", "message": "Hm."}


def test_json_shows_no_warnings_about_segments():
    warned = replace(TWO_LINES, warnings=(Concern(0, 0.0, 1.5, " hi", Reason.REPETITION, Action.MARKED),))
    assert formats_json.to_dict(warned) == formats_json.to_dict(TWO_LINES)


def test_verbose_json_puts_words_inside_their_segment():
    spoken = transcript(segment(0.0, 0.4, " hello", (Word(" hello", 0.02, 0.4, 0.96),)), words=True)
    assert verbose_json.to_dict(spoken)["segments"][0]["words"][0]["word"] == "hello"


def test_text_is_the_text_alone_on_one_line():
    assert text.render(TWO_LINES) == "hello there see you\n"


def test_srt_numbers_its_cues_from_one():
    assert srt.render(TWO_LINES) == (
        "1\n00:00:00,000 --> 00:00:01,500\nhello there\n\n2\n00:00:02,250 --> 00:00:03,000\nsee you\n"
    )


def test_vtt_starts_with_its_header():
    assert vtt.render(TWO_LINES) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nhello there\n\n00:00:02.250 --> 00:00:03.000\nsee you\n"
    )


def test_tsv_counts_in_milliseconds():
    assert tsv.render(TWO_LINES) == "start\tend\ttext\n0\t1500\thello there\n2250\t3000\tsee you\n"


def test_lrc_ends_with_an_empty_line_that_clears_the_last_one():
    assert lrc.render(TWO_LINES) == "[00:00.00]hello there\n[00:02.25]see you\n[00:03.00]\n"


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        (ResponseFormat.SRT, "01:30:00,500 --> 01:30:02,000"),
        (ResponseFormat.VTT, "01:30:00.500 --> 01:30:02.000"),
        (ResponseFormat.TSV, "5400500\t5402000\tlate"),
        (ResponseFormat.LRC, "[90:00.50]late"),
    ],
)
def test_times_beyond_one_hour_do_not_wrap(response_format, expected):
    late = transcript(segment(1.5 * HOUR + 0.5, 1.5 * HOUR + 2.0, " late"))
    assert expected in registry.render(late, response_format).body


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        (ResponseFormat.TEXT, ""),
        (ResponseFormat.SRT, ""),
        (ResponseFormat.VTT, "WEBVTT\n"),
        (ResponseFormat.TSV, "start\tend\ttext\n"),
        (ResponseFormat.LRC, ""),
        (ResponseFormat.RTTM, ""),
    ],
)
def test_an_empty_transcript_is_a_valid_file(response_format, expected):
    assert registry.render(EMPTY, response_format).body == expected


def test_an_empty_transcript_is_valid_json():
    document = json.loads(registry.render(EMPTY, ResponseFormat.JSON).body)
    assert (document["text"], document["segments"]) == ("", [])


@pytest.mark.parametrize("response_format", ResponseFormat)
def test_every_format_has_a_content_type_and_a_file_ending(response_format):
    expected = {
        "json": ("application/json", ".json"),
        "verbose_json": ("application/json", ".verbose.json"),
        "text": ("text/plain; charset=utf-8", ".txt"),
        "srt": ("application/x-subrip; charset=utf-8", ".srt"),
        "vtt": ("text/vtt; charset=utf-8", ".vtt"),
        "tsv": ("text/tab-separated-values; charset=utf-8", ".tsv"),
        "lrc": ("text/plain; charset=utf-8", ".lrc"),
        "rttm": ("text/plain; charset=utf-8", ".rttm"),
    }
    record = response_format.record
    assert (record.content_type, record.ending) == expected[response_format]
    assert registry.render(TWO_LINES, response_format).content_type == record.content_type


def test_a_format_is_looked_up_by_its_name():
    assert ResponseFormat("srt") is ResponseFormat.SRT
    assert ResponseFormat.SRT.record.media_type == "application/x-subrip"
    with pytest.raises(ValueError, match="docx"):
        ResponseFormat("docx")


def test_no_two_formats_share_a_file_ending():
    assert len({each.record.ending for each in ResponseFormat}) == len(ResponseFormat)


def test_an_arrow_in_the_text_is_not_read_as_a_timing_line():
    tricky = transcript(segment(0.0, 1.0, " 00:00:00,000 ---> 00:00:01,000 -->"))
    assert srt.render(tricky).count("-->") == 1
    assert vtt.render(tricky).count("-->") == 1


def test_markup_in_the_text_is_escaped_in_vtt():
    assert "a &lt;b&gt; &amp; c" in vtt.render(transcript(segment(0.0, 1.0, " a <b> & c")))


def test_verbose_json_reports_the_task():
    translated = Transcript("de", 1.0, 1.0, (), "demo", task=Task.TRANSLATE)
    assert verbose_json.to_dict(translated)["task"] == "translate"


times = st.floats(min_value=0, max_value=200_000, allow_nan=False)
segments = st.lists(st.builds(segment, times, times, st.text(max_size=30)), max_size=8)


@given(segments)
def test_cues_do_not_overlap_and_lose_no_text(parts):
    spoken = transcript(*parts)
    lines = list(cues.cues(spoken))
    assert all(cue.start < cue.end for cue in lines)
    assert all(before.end <= after.start for before, after in itertools.pairwise(lines))
    assert "".join(cue.text for cue in lines).replace(" ", "") == "".join(
        cues.one_line(part.text) for part in parts
    ).replace(" ", "")


@given(segments)
def test_an_srt_file_reads_back_as_the_cues_it_was_made_from(parts):
    spoken = transcript(*parts)
    blocks = [block.split("\n") for block in srt.render(spoken).split("\n\n") if block]
    assert [int(block[0]) for block in blocks] == list(range(1, len(blocks) + 1))
    assert [block[2] for block in blocks] == [srt.ARROW.sub("->", cue.text) for cue in cues.cues(spoken)]


@given(segments)
def test_every_tsv_line_has_three_columns(parts):
    assert all(line.count("\t") == 2 for line in tsv.render(transcript(*parts)).splitlines())


@given(segments)
def test_any_text_gives_valid_json(parts):
    document = json.loads(registry.render(transcript(*parts), ResponseFormat.VERBOSE_JSON).body)
    assert len(document["segments"]) == len(parts)
