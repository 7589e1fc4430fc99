"""The conversion of errors to Deepgram's shape."""

from __future__ import annotations

import pytest

from transcription.api.deepgram.errors import document_of, headers_of, is_deepgram, status_of


@pytest.mark.parametrize(
    ("status", "error", "deepgram_status", "code"),
    [
        (422, "invalid_parameter", 400, "Bad Request"),
        (422, "unknown_model", 400, "Bad Request"),
        (422, "model_not_allowed", 400, "Bad Request"),
        (401, "missing_api_key", 401, "INVALID_AUTH"),
        (403, "invalid_api_key", 401, "INVALID_AUTH"),
        (403, "cross_site_request", 403, "Forbidden"),
        (429, "rate_limit_exceeded", 429, "TOO_MANY_REQUESTS"),
        (503, "service_unavailable", 503, "Service Unavailable"),
        (499, "client_closed_request", 499, "client_closed_request"),
    ],
)
def test_our_errors_are_converted_to_deepgrams(status: int, error: str, deepgram_status: int, code: str) -> None:
    assert status_of(status, error) == deepgram_status
    ours = {"error": error, "message": "Send it again.", "request_id": "request-1"}
    expected = {"err_code": code, "err_msg": "Send it again.", "request_id": "request-1"}
    assert document_of(ours, deepgram_status) == expected


def test_a_missing_or_wrong_key_tells_the_client_how_to_send_one() -> None:
    assert headers_of(401) == {"WWW-Authenticate": "Token"}
    assert headers_of(400) == {}


def test_only_deepgrams_path_has_deepgrams_error_shape() -> None:
    assert is_deepgram("/v1/listen")
    assert not is_deepgram("/v1/realtime")
    assert not is_deepgram("/live")
