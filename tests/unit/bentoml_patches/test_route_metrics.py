"""Request metrics are labelled with routes, of which there are few, and not with paths."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import TranscriptionService
from transcription.bentoml_patches.route_metrics import REQUESTED_PATH, UNKNOWN, RestorePath, RouteTable

ROUTES = ("/transcribe", "/status/{job_id}", "/jobs/{job_id}/result")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/transcribe", "/transcribe"),
        ("/status/7f3a", "/status/{job_id}"),
        ("/jobs/7f3a/result", "/jobs/{job_id}/result"),
        ("/jobs/7f3a", UNKNOWN),
        ("/status/7f3a/more", UNKNOWN),
        ("/status/", UNKNOWN),
        ("//transcribe", UNKNOWN),
        ("/wp-login.php", UNKNOWN),
    ],
)
def test_a_path_is_mapped_to_its_route(path, route):
    assert RouteTable(ROUTES).route_of(path) == route


@given(st.text(max_size=50))
def test_no_path_adds_a_label_value(path):
    assert RouteTable(ROUTES).route_of(path) in {*ROUTES, UNKNOWN}


def test_the_application_sees_the_requested_path():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope)

    asyncio.run(
        RestorePath(application)({"type": "http", "path": "/status/{job_id}", REQUESTED_PATH: "/status/7"}, None, None)
    )
    assert seen == [{"type": "http", "path": "/status/7"}]


def test_the_service_uses_this_middleware_instead_of_bentomls():
    names = [middleware.cls.__name__ for middleware in TranscriptionService.to_asgi().user_middleware]
    assert "RouteMetrics" in names
    assert "RunnerTrafficMetricsMiddleware" not in names
