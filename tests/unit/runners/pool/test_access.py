"""Who may talk to a runner that is deployed alone."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from runners.pool.access import RunnerAccess, is_allowed

TOKEN = "t" * 32


@pytest.mark.parametrize(
    ("token", "given", "peer", "forwarded", "allowed"),
    [
        (TOKEN, f"Bearer {TOKEN}", "10.0.0.9", False, True),
        (TOKEN, f"Bearer {TOKEN}", "10.0.0.9", True, True),
        (TOKEN, "", "127.0.0.1", False, False),
        (TOKEN, f"Bearer {TOKEN}x", "10.0.0.9", False, False),
        (TOKEN, "Bearer \N{LATIN SMALL LETTER U WITH DIAERESIS}", "10.0.0.9", False, False),
        (TOKEN, "", None, False, True),
        ("", "", "127.0.0.1", False, True),
        ("", "", "::1", False, True),
        ("", "", "10.0.0.9", False, False),
        ("", "Bearer ", "10.0.0.9", False, False),
        ("", "", "127.0.0.1", True, False),
        ("", "", "testclient", False, False),
    ],
)
def test_the_token_or_the_own_machine_is_needed(token, given, peer, forwarded, allowed):
    assert is_allowed(token, given, peer, forwarded=forwarded) is allowed


def client(*, alone: bool = True) -> TestClient:
    async def found(_):
        return PlainTextResponse("found")

    routes = [Route(path, found, methods=["GET", "POST"]) for path in ("/runner/watch", "/transcribe", "/readyz")]
    access = Middleware(RunnerAccess, token=TOKEN, is_alone=lambda: alone)
    return TestClient(Starlette(routes=routes, middleware=[access]), client=("10.0.0.9", 1))


def test_over_tcp_a_runner_answers_the_wire_and_the_probes_alone():
    headers = {"Authorization": f"Bearer {TOKEN}"}

    assert client().get("/runner/watch", headers=headers).status_code == 200
    assert client().get("/readyz").status_code == 200
    assert client().post("/transcribe", headers=headers).status_code == 404


def test_without_the_token_the_answer_names_the_setting():
    answer = client().get("/runner/watch")

    assert answer.status_code == 401
    assert "RUNNER_TOKEN" in answer.text


def test_a_runner_that_is_a_dependency_answers_bentoml():
    assert client(alone=False).post("/transcribe").status_code == 200
