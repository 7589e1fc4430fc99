"""Errors in OpenAI's shape: which of ours become what, and which are worth a retry."""

import pytest

from transcription.api.openai.errors import document_of, headers_of, is_openai, status_of


@pytest.mark.parametrize(
    ("status", "error", "there", "kind", "param", "code"),
    [
        (422, "invalid_parameter", 400, "invalid_request_error", None, "invalid_parameter"),
        (422, "unknown_model", 404, "invalid_request_error", "model", "model_not_found"),
        (422, "no_audio_stream", 400, "invalid_request_error", None, "no_audio_stream"),
        (400, "unsupported_format", 400, "invalid_request_error", "file", "unsupported_format"),
        (413, "file_too_large", 413, "invalid_request_error", "file", "file_too_large"),
        (401, "missing_api_key", 401, "invalid_request_error", None, "missing_api_key"),
        (429, "rate_limit_exceeded", 429, "rate_limit_error", None, "rate_limit_exceeded"),
        (503, "service_unavailable", 503, "server_error", None, "service_unavailable"),
    ],
)
def test_an_error_of_ours_reads_as_one_of_openai(status, error, there, kind, param, code):
    assert status_of(status, error) == there
    document = document_of({"error": error, "message": "Send it again."}, there)
    assert document == {"error": {"message": "Send it again.", "type": kind, "param": param, "code": code}}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 431, 501])
def test_a_permanent_failure_is_not_to_be_tried_again(status):
    assert headers_of(status) == {"x-should-retry": "false"}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_passing_failure_is_left_to_the_client(status):
    assert headers_of(status) == {}


def test_only_openais_paths_have_openais_shape():
    assert is_openai("/v1/audio/transcriptions")
    assert not is_openai("/transcribe")
