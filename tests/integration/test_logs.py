"""What the service writes down, and what it never does."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

import httpx
import pytest

from tests.support.clips import SpokenClip
from tests.support.service import LocalService, local_service
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
ALWAYS = {"timestamp", "level", "service", "message"}


def test_a_start_goes_without_errors(service: LocalService) -> None:
    lines = service.log.read_text().split("\n")  # not splitlines: paths may contain other line breaks
    at_start = [json.loads(line) for line in takewhile(lambda line: '"request_id"' not in line, lines)]
    assert [line for line in at_start if line["level"] in ("WARNING", "ERROR")] == []


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory, spoken_clip: SpokenClip) -> list[str]:
    """Everything that all processes wrote while all kinds of requests were served, at INFO."""
    folder = tmp_path_factory.mktemp("logged")
    environment = {
        "ENABLE_API_KEY": "true",
        "API_KEY": KEY,
        "WEBHOOK_SECRET": "signing-secret-" + "s" * 40,
        "WEBHOOK_ALLOW": "127.0.0.1",
        "LOG_LEVEL": "INFO",
    }
    assert "monday" in spoken_clip.text
    sound = spoken_clip.path.read_bytes()
    with (
        local_service(environment, folder / "log") as service,
        httpx.Client(base_url=service.url, timeout=60, headers={"X-API-Key": KEY}) as client,
    ):

        def send(content: bytes, **fields: str) -> httpx.Response:
            return client.post("/transcribe", files={"file": ("telltale.mp3", content)}, data=fields)

        assert send(sound, initial_prompt="promptsecret", hotwords="hotwordsecret").status_code == 200
        assert send(b"no recording").status_code == 400
        assert send(sound, nonsense="fieldsecret").status_code in (200, 422)
        hook = "http://127.0.0.1:9/?token=hooksecret"
        job = send(sound, **{"async": "true", "callback_url": hook}, language="en").json()
        assert wait_until(lambda: client.get(job["status_url"]).json()["status"] == "completed", 120)
        for headers in ({"X-API-Key": WRONG_KEY}, {"X-API-Key": "", "Authorization": f"Bearer {WRONG_KEY}"}):
            assert client.get("/jobs", headers=headers).status_code == 403
        assert wait_until(lambda: '"webhook"' in service.log.read_text(), 60)
    return (folder / "log").read_text().splitlines()


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
