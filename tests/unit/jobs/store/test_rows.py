"""The stored failure of a job, as written by this version and by older ones."""

import json

import pytest

from transcription.api.errors import KINDS
from transcription.core.errors import Failure, TranscriptionError
from transcription.jobs.store.rows import pack_failure, unpack_failure


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
