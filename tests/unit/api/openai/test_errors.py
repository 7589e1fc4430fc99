"""The conversion of errors to OpenAI's shape, and which of them are retryable."""

import pytest

from transcription.api.openai.errors import document_of, headers_of, is_openai, status_of


@pytest.mark.parametrize(
    ("status", "error", "openai_status", "kind", "param", "code"),
    [
        (422, "invalid_parameter", 400, "invalid_request_error", None, "invalid_parameter"),
        (422, "unknown_model", 404, "invalid_request_error", "model", "model_not_found"),
        (422, "no_audio_stream", 400, "invalid_request_error", None, "no_audio_stream"),
        (400, "unsupported_format", 400, "invalid_request_error", "file", "unsupported_format"),
        (413, "file_too_large", 413, "invalid_request_error", "file", "file_too_large"),
        (403, "invalid_api_key", 401, "invalid_request_error", None, "invalid_api_key"),
        (401, "missing_api_key", 401, "invalid_request_error", None, "missing_api_key"),
        (429, "rate_limit_exceeded", 429, "rate_limit_error", None, "rate_limit_exceeded"),
        (503, "service_unavailable", 503, "server_error", None, "service_unavailable"),
    ],
)
def test_our_errors_are_converted_to_openais(status, error, openai_status, kind, param, code):
    assert status_of(status, error) == openai_status
    document = document_of({"error": error, "message": "Send it again."}, openai_status)
    assert document == {"error": {"message": "Send it again.", "type": kind, "param": param, "code": code}}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413, 422, 431, 501])
def test_a_permanent_failure_tells_the_client_not_to_retry(status):
    assert headers_of(status) == {"x-should-retry": "false"}


def test_a_missing_or_wrong_key_tells_the_client_how_to_send_one_and_not_to_retry():
    assert headers_of(401) == {"x-should-retry": "false", "WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_transient_failure_leaves_the_retry_to_the_client(status):
    assert headers_of(status) == {}


def test_only_paths_of_openais_api_have_openais_error_shape():
    assert is_openai("/v1/audio/transcriptions")
    assert is_openai("/openai/deployments/whisper/audio/transcriptions")
    assert is_openai("/openai/nowhere")
    assert not is_openai("/transcribe")
