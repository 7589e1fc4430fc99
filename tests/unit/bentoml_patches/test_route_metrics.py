"""Paths become routes, of which there are few."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import TranscriptionService
from transcription.bentoml_patches.route_metrics import ASKED_FOR, UNKNOWN, Endpoints, _AskedFor

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
def test_a_path_has_the_name_of_its_route(path, route):
    assert Endpoints(ROUTES).of(path) == route


@given(st.text(max_size=50))
def test_whatever_is_asked_for_there_are_no_more_names_than_routes(path):
    assert Endpoints(ROUTES).of(path) in {*ROUTES, UNKNOWN}


def test_the_application_sees_the_path_that_was_asked_for():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope)

    asyncio.run(
        _AskedFor(application)({"type": "http", "path": "/status/{job_id}", ASKED_FOR: "/status/7"}, None, None)
    )
    assert seen == [{"type": "http", "path": "/status/7"}]


def test_the_service_counts_by_route_and_not_by_path():
    names = [middleware.cls.__name__ for middleware in TranscriptionService.to_asgi().user_middleware]
    assert "RouteMetrics" in names
    assert "RunnerTrafficMetricsMiddleware" not in names
