"""Every format says who speaks, and nothing in a name can be read as anything else."""

import json
from dataclasses import replace

from openai.types.audio import TranscriptionDiarized

from formats import json as formats_json
from formats import openai, registry, rttm, text, verbose_json, webservice
from formats.registry import ResponseFormat
from formats.subtitles import lrc, srt, tsv, vtt
from formats.subtitles.cues import cues
from formats.subtitles.layout import SubtitleLayout, lay_out
from tests.unit.formats.subtitles.test_layout import evenly_spoken
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
