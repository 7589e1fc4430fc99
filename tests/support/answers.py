"""What every error of the HTTP API looks like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx


def assert_error(answer: httpx.Response, status: int, error: str) -> dict[str, str]:
    """The one shape of an error, with this status and code. Returns its body."""
    body: dict[str, str] = answer.json()
    assert (answer.status_code, body.get("error")) == (status, error), answer.text
    assert set(body) == {"error", "message", "detail", "timestamp", "request_id"}
    assert body["message"]
    assert body["request_id"] == answer.headers["x-request-id"]
    stamp = datetime.strptime(body["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - stamp) < timedelta(minutes=1)
    return body
