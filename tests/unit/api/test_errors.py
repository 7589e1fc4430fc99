from __future__ import annotations

import json

import pytest

from transcription.api.errors import KINDS, error_response, framework_error
from transcription.core import errors
from transcription.telemetry.logs import request_context


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.UnsupportedFormat, 400, "unsupported_format"),
        (errors.FileTooLarge, 413, "file_too_large"),
        (errors.AudioTooLong, 413, "audio_too_long"),
        (errors.InvalidParameter, 422, "invalid_parameter"),
        (errors.UnknownModel, 422, "unknown_model"),
        (errors.UndecodableMedia, 422, "undecodable_media"),
        (errors.NoAudioStream, 422, "no_audio_stream"),
        (errors.AudioTooShort, 422, "audio_too_short"),
        (errors.UnknownJob, 404, "unknown_job"),
        (errors.WrongJobState, 409, "wrong_job_state"),
        (errors.IdempotencyConflict, 409, "idempotency_conflict"),
        (errors.NotEnabled, 501, "not_enabled"),
        (errors.InsufficientStorage, 503, "insufficient_storage"),
        (errors.ServiceUnavailable, 503, "service_unavailable"),
        (errors.RecordingsUnavailable, 503, "service_unavailable"),
        (errors.ResultUnavailable, 503, "service_unavailable"),
        (errors.ModelUnavailable, 503, "model_unavailable"),
        (errors.TranscriptionError, 500, "internal_error"),
    ],
)
def test_each_error_of_the_domain_has_its_status_and_code(
    error: type[errors.TranscriptionError], status: int, kind: str
) -> None:
    with request_context("the-id"):
        answer = error_response(error("what was wrong", "more"))
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, body["error"], body["message"], body["detail"]) == (
        status,
        kind,
        "what was wrong",
        "more",
    )
    assert body["request_id"] == "the-id"
    assert body["timestamp"].endswith("Z")


def test_every_error_of_the_domain_is_mapped() -> None:
    domain = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, Exception)]
    assert set(domain) == set(KINDS)


def test_an_error_without_an_entry_is_answered_as_its_base() -> None:
    class Novel(errors.UndecodableMedia):
        pass

    assert error_response(Novel("x")).status_code == 422


def test_unavailability_has_a_retry_after_of_at_least_one_second() -> None:
    assert error_response(errors.ServiceUnavailable("x", retry_after=7.4)).headers["retry-after"] == "7"
    assert error_response(errors.ServiceUnavailable("x", retry_after=0.1)).headers["retry-after"] == "1"
    assert int(error_response(errors.ModelUnavailable("x")).headers["retry-after"]) > 0


@pytest.mark.parametrize("status", [400, 404, 405, 409, 418, 451, 499, 500, 502, 503, 504, 599])
def test_every_status_of_a_framework_has_an_error_kind(status: int) -> None:
    kind = framework_error(status)
    assert kind.status == status
    assert kind.code and kind.example
