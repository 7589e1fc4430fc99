"""What the service writes down and tells a collector of requests, and what it never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.clips import SpokenClip
from tests.support.collector import Collector, Span, collecting
from tests.support.service import ROOT, LocalService, local_service
from tests.support.waiting import wait_until

KEY, WRONG_KEY = "right-key-" + "r" * 40, "wrong-key-" + "w" * 40
SECRETS = {
    "file name": "telltale",
    "prompt": "promptsecret",
    "hotword": "hotwordsecret",
    "key": "right-key",
    "wrong key": "wrong-key",
    "query of a callback": "hooksecret",
    "key of callbacks": "signing-secret",
    "text": "monday",
    "beginning of a text": "the meeting starts",
    "form field": "fieldsecret",
}
OF_A_REQUEST = {"upload", "media.probe", "media.decode", "media.vad", "queue", "model.encode", "model.decode", "format"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"  # the example of W3C Trace Context
ALWAYS = {"timestamp", "level", "service", "message"}


def test_a_start_goes_without_errors(service: LocalService) -> None:
    # Not splitlines: paths may contain other line breaks. What follows the last line break is empty, or unfinished.
    *lines, _ = service.log.read_text().split("\n")
    at_start = [json.loads(line) for line in takewhile(lambda line: '"request_id"' not in line, lines)]
    assert [line for line in at_start if line["level"] in ("WARNING", "ERROR")] == []


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


@dataclass(frozen=True, slots=True)
class Told:
    """log: the lines of all processes. collector: with the spans of one request, under TRACE_ID, and of one job."""

    log: list[str]
    collector: Collector


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, spoken_clip: SpokenClip) -> Iterator[Told]:
    """Everything that was told while all kinds of requests were served, at INFO."""
    folder = tmp_path_factory.mktemp("told")
    assert "monday" in spoken_clip.text
    sound = spoken_clip.path.read_bytes()
    with collecting() as collector:
        environment = {
            "ENABLE_API_KEY": "true",
            "API_KEY": KEY,
            "WEBHOOK_SECRET": "signing-secret-" + "s" * 40,
            "WEBHOOK_ALLOW": "127.0.0.1",
            "LOG_LEVEL": "INFO",
            "BENTOML_CONFIG": str(configuration(folder, collector.server.server_port)),
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        with (
            local_service(environment, folder / "log") as service,
            httpx.Client(base_url=service.url, timeout=60, headers={"X-API-Key": KEY}) as client,
        ):

            def send(content: bytes, trace: str = "", **fields: str) -> httpx.Response:
                headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"} if trace else {}
                return client.post(
                    "/transcribe", files={"file": ("telltale.mp3", content)}, data=fields, headers=headers
                )

            prompts = {"initial_prompt": "promptsecret", "hotwords": "hotwordsecret"}
            assert send(sound, TRACE_ID, **prompts).status_code == 200
            assert send(b"no recording").status_code == 400
            assert send(sound, nonsense="fieldsecret").status_code in (200, 422)
            hook = "http://127.0.0.1:9/?token=hooksecret"
            job = send(sound, **{"async": "true", "callback_url": hook}, language="en").json()
            assert wait_until(lambda: client.get(job["status_url"]).json()["status"] == "completed", 120)
            for headers in ({"X-API-Key": WRONG_KEY}, {"X-API-Key": "", "Authorization": f"Bearer {WRONG_KEY}"}):
                assert client.get("/jobs", headers=headers).status_code == 403
            assert wait_until(lambda: '"webhook"' in service.log.read_text(), 60)
            wait_until(lambda: {each.name for each in collector.of(TRACE_ID)} >= OF_A_REQUEST)
            wait_until(lambda: any(each.name == "job" for each in collector.spans))
        yield Told((folder / "log").read_text().splitlines(), collector)


@pytest.fixture(scope="module")
def log(told: Told) -> list[str]:
    return told.log


@pytest.fixture(scope="module")
def collector(told: Told) -> Collector:
    return told.collector


@pytest.fixture(scope="module")
def events(log: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_and_nothing_that_was_said_is_written_down(secret: str, log: list[str]) -> None:
    assert [line for line in log if SECRETS[secret] in line.lower()] == []


def test_every_line_of_every_process_is_one_event_of_the_same_shape(events: list[dict[str, Any]]) -> None:
    assert events
    for event in events:
        assert event.keys() >= ALWAYS, event


def test_a_request_is_told_with_who_sent_it_and_what_came_of_it(events: list[dict[str, Any]]) -> None:
    requests = [event for event in events if event["message"] == "request" and event["endpoint"] == "/transcribe"]
    assert [event["status_code"] for event in requests][:2] == [200, 400]
    assert {event["user_id"] for event in requests} == {"default"}
    assert all(event["duration_ms"] > 0 for event in requests)
    refused = [event for event in events if event.get("status_code") == 403]
    assert len(refused) == 2
    assert all("user_id" not in event for event in refused)


def test_a_transcript_is_told_without_its_text_under_the_id_of_its_request(
    events: list[dict[str, Any]], spoken_clip: SpokenClip
) -> None:
    told = next(event for event in events if event["message"] == "transcribed")
    assert told["metadata"] == {
        "file_size": spoken_clip.path.stat().st_size,
        "duration": pytest.approx(3.07, abs=0.1),
        "language": "en",
        "model": "demo",
    }
    request = next(event for event in events if event["message"] == "request" and event["status_code"] == 200)
    assert told["request_id"] == request["request_id"]


def test_a_job_is_followed_from_the_request_to_its_end(events: list[dict[str, Any]]) -> None:
    accepted = next(event for event in events if event["message"] == "job_accepted")
    request = next(event for event in events if event.get("status_code") == 202)
    assert accepted["request_id"] == request["request_id"]
    completed = next(event for event in events if event["message"] == "job_completed")
    assert (completed["request_id"], completed["job_id"]) == (accepted["request_id"], accepted["job_id"])
    told = next(event for event in events if event["message"] == "webhook")
    assert (told["request_id"], told["job_id"]) == (accepted["request_id"], accepted["job_id"])
    assert completed["metadata"]["model"] == "demo"


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
        assert not any(secret in each.attributes for secret in SECRETS.values()), each
