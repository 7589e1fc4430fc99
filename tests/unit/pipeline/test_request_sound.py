"""Requests for different sound of one file have different keys, and stored ones without it mean the default."""

import json

import pytest

from transcription.core.options import Channel, DecodeOptions, SoundOptions, TranscriptionRequest, VadOptions
from transcription.jobs.store.rows import REQUEST
from transcription.media.intake.upload import Upload
from transcription.pipeline.request_key import request_key

PLAIN = TranscriptionRequest(DecodeOptions("demo"), VadOptions())


@pytest.fixture
def key(settings, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"audio")
    return lambda request: request_key(Upload(path, "hash", 5), request, settings, caller="")


@pytest.mark.parametrize(
    "sound", [SoundOptions(audio_track=1), SoundOptions(audio_track=2), SoundOptions(channel=Channel.LEFT)]
)
def test_the_sound_that_is_asked_for_is_part_of_the_key(key, sound):
    assert key(TranscriptionRequest(DecodeOptions("demo"), VadOptions(), sound=sound)) != key(PLAIN)


def test_a_request_stored_by_an_older_version_asks_for_the_default_sound():
    [stored] = json.loads(REQUEST.pack(PLAIN))
    del stored["sound"]
    assert REQUEST.unpack(json.dumps([stored])) == PLAIN
