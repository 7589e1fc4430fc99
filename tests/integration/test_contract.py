"""Whatever is sent to a route, the answer is one that the service's own OpenAPI document describes."""

from __future__ import annotations

import json
from collections import Counter

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from service import edge
from tests.support.effort import examples
from tests.support.service import ROOT, LocalService

EXAMPLES = examples(15, 150)  # of each route
RECORDING = (ROOT / "samples" / "en-meeting.mp3").read_bytes()
HARMLESS = {"file", "response_format", "timestamp_granularity", "task", "hallucinations"}

pytestmark = pytest.mark.timeout(300)


document = edge().app.openapi()
OPERATIONS = [(path, method) for path, item in document["paths"].items() for method in item]
# From a fixture: the requests are made when a test runs, not in every process that collects it.
contract = schemathesis.pytest.from_fixture("operation")
seen: Counter[tuple[str, int]] = Counter()


@pytest.fixture(params=OPERATIONS, ids=[f"{method.upper()} {path}" for path, method in OPERATIONS])
def operation(request: pytest.FixtureRequest) -> schemathesis.BaseSchema:
    """The contract of one route."""
    request.node._nodeid = request.node.nodeid  # schemathesis reads and changes this, which pytest no longer has
    path, method = request.param
    paths = {path: {method: document["paths"][path][method]}}
    return schemathesis.openapi.from_dict({**document, "paths": paths})


def test_the_service_gives_out_this_very_document(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == json.loads(json.dumps(document))


def be_plausible(case: schemathesis.Case) -> None:
    """Send a recording, and sometimes no parameters that exclude each other: else /transcribe would refuse them all."""
    assert isinstance(case.body, dict)
    harmless = case.path == "/transcribe" and len(str(case.body)) % 16 == 1
    case.body["file"] = RECORDING
    if harmless:
        for place in (case.body, case.query):
            for name in set(place or ()) - HARMLESS:
                del place[name]


@contract.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
def test_every_answer_is_as_documented(case: schemathesis.Case, service: LocalService) -> None:
    if isinstance(case.body, dict) and "file" in case.body and len(str(case.body)) % 2:
        be_plausible(case)
    response = case.call(base_url=service.url, timeout=60)
    seen[case.path, response.status_code] += 1
    assert response.status_code < 500 or response.status_code in (501, 503), response.text
    case.validate_response(
        response,
        checks=[
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
        ],
    )


def test_what_was_sent_reached_transcripts_and_refusals() -> None:
    of_transcribe = {status for path, status in seen if path == "/transcribe"}
    assert {200, 422} <= of_transcribe
    assert {path for path, _ in seen} == set(document["paths"])
