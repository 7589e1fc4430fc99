"""Spans of a request through both processes, as a collector receives them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.clips import SpokenClip
from tests.support.service import ROOT, local_service
from tests.support.waiting import wait_until

OF_A_REQUEST = {"upload", "media.probe", "media.decode", "media.vad", "queue", "model.encode", "model.decode", "format"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"  # the example of W3C Trace Context
SECRETS = ("telltale", "promptsecret", "monday")


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    attributes: str
    started: int
    ended: int


class Collector:
    """Receives OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for each in scope.spans:
                    self.spans.append(
                        Span(
                            each.name,
                            each.trace_id.hex(),
                            each.span_id.hex(),
                            each.parent_span_id.hex(),
                            str(each.attributes).lower(),
                            each.start_time_unix_nano,
                            each.end_time_unix_nano,
                        )
                    )

    def of(self, trace: str) -> list[Span]:
        return [each for each in self.spans if each.trace == trace]


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def configuration(folder: Path, port: int) -> Path:
    """Our configuration.yaml with the exporter turned on, as an operator does it."""
    document = yaml.safe_load((ROOT / "configuration.yaml").read_text())
    document["services"]["tracing"] = {
        "exporter_type": "otlp",
        "sample_rate": 1.0,
        "timeout": 5,
        "otlp": {"protocol": "http", "endpoint": f"http://127.0.0.1:{port}/v1/traces"},
    }
    path = folder / "configuration.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory, spoken_clip: SpokenClip) -> Iterator[Collector]:
    """What was received of one request, under TRACE_ID, and of one job."""
    folder = tmp_path_factory.mktemp("traced")
    with collecting() as collector:
        environment = {
            "BENTOML_CONFIG": str(configuration(folder, collector.server.server_port)),
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        file = {"file": ("telltale.mp3", spoken_clip.path.read_bytes())}
        with (
            local_service(environment, folder / "log") as service,
            httpx.Client(base_url=service.url, timeout=60) as client,
        ):
            headers = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
            fields = {"initial_prompt": "promptsecret"}
            assert client.post("/transcribe", files=file, data=fields, headers=headers).status_code == 200
            job = client.post("/transcribe", files=file, data={"async": "true", "language": "en"}).json()
            assert wait_until(lambda: client.get(job["status_url"]).json()["status"] == "completed", 120)
            wait_until(lambda: {each.name for each in collector.of(TRACE_ID)} >= OF_A_REQUEST)
            wait_until(lambda: any(each.name == "job" for each in collector.spans))
        yield collector


def test_a_request_has_a_span_for_every_step_in_the_trace_that_its_caller_began(collector: Collector) -> None:
    assert {each.name for each in collector.of(TRACE_ID)} >= OF_A_REQUEST


def test_every_span_has_its_parent_through_both_processes(collector: Collector) -> None:
    spans = {each.id: each for each in collector.of(TRACE_ID)}

    def root(span: Span) -> Span:
        return root(spans[span.parent]) if span.parent in spans else span

    assert {root(each).name for each in spans.values()} == {"POST /transcribe"}
    (encode,) = [each for each in spans.values() if each.name == "model.encode"]
    server = spans[encode.parent]
    call = spans[server.parent]
    # The runner's side of the call, the API's side of it, and the request.
    assert server.name.startswith("POST /transcribe")
    assert server.id != root(encode).id
    assert call.parent == root(encode).id


def test_the_steps_of_the_model_follow_one_another(collector: Collector) -> None:
    named = {each.name: each for each in collector.of(TRACE_ID)}
    queue, encode, decode = (named[name] for name in ("queue", "model.encode", "model.decode"))
    assert queue.started <= queue.ended <= encode.started <= encode.ended <= decode.started <= decode.ended
    assert "batch" in encode.attributes


def test_a_job_has_a_trace_of_its_own_with_the_steps_in_it(collector: Collector) -> None:
    (job,) = [each for each in collector.spans if each.name == "job"]
    assert {each.name for each in collector.of(job.trace)} >= OF_A_REQUEST - {"upload", "format"}


def test_no_span_contains_what_was_said_or_sent(collector: Collector) -> None:
    for each in collector.spans:
        assert not any(secret in each.attributes for secret in SECRETS), each
