"""Failures and transcripts of jobs, as stored by this version and by older ones."""

import json
import zlib
from dataclasses import replace

import pytest

from transcription.api.errors import KINDS
from transcription.core.errors import Failure, TranscriptionError
from transcription.core.speakers import Speaker
from transcription.jobs.store.rows import pack_failure, pack_transcript, unpack_failure, unpack_transcript


def test_a_failure_is_stored_by_its_code() -> None:
    failure = Failure("no_audio_stream", "No audio stream.", "1 video stream")
    packed = pack_failure(failure)
    assert json.loads(packed) == [
        {"kind": "no_audio_stream", "message": "No audio stream.", "detail": "1 video stream"}
    ]
    assert unpack_failure(packed) == failure


@pytest.mark.parametrize("error", KINDS, ids=lambda error: error.__name__)
def test_a_failure_stored_by_its_class_name_in_an_older_version_is_read(error: type[TranscriptionError]) -> None:
    stored = json.dumps([{"kind": error.__name__, "message": "m", "detail": "d"}])
    assert unpack_failure(stored) == Failure(error.code, "m", "d")


BEFORE_SPEAKERS = (  # as schema 6 stored it
    b'[{"language":"en","language_probability":1.0,"duration":60.0,"segments":[{"start":0.0,"end":1.0,"text":" hi",'
    b'"tokens":[1,2],"avg_logprob":-0.2,"compression_ratio":1.2,"no_speech_prob":0.01,"temperature":0.0,"seek":0,'
    b'"words":[{"text":" hi","start":0.0,"end":1.0,"probability":0.9}]}],"model":"demo","task":"transcribe",'
    b'"word_timestamps":false,"processing_time":0.0,"warnings":[],"notices":[]}]'
)


def test_a_transcript_stored_before_there_were_speakers_is_read_and_has_none() -> None:
    transcript = unpack_transcript(zlib.compress(BEFORE_SPEAKERS))
    [segment] = transcript.segments
    assert (transcript.text, transcript.speakers) == ("hi", ())
    assert (segment.speaker, segment.overlap, segment.words[0].speaker) == (None, False, None)


def test_a_transcript_with_speakers_reads_back_as_it_was_stored() -> None:
    spoken = unpack_transcript(zlib.compress(BEFORE_SPEAKERS))
    [segment] = spoken.segments
    words = tuple(replace(word, speaker="Ann") for word in segment.words)
    segments = (replace(segment, words=words, speaker="Ann", overlap=True),)
    spoken = replace(spoken, segments=segments, speakers=(Speaker("Ann", 1.0, 1.0),))
    assert unpack_transcript(pack_transcript(spoken)) == spoken
