"""The clients of the chaos run of a pool: synchronous requests, jobs and live sessions, and what comes of them."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import httpx
import httpx_ws
from wsproto.utilities import LocalProtocolError

from tests.support.live import live_client, pcm_of
from tests.support.service import UNSHARED

SPOKEN = 1  # recordings that are spoken in live sessions; where a longer one is cut would depend on the time
PATIENCE = 300.0
REQUEST_SECONDS = 120.0
AGAIN_SECONDS = 0.5
SHOWN = 160  # characters of an error
MOST_REFUSED = 0.01  # share of the synchronous requests, while one of several runners is missing
REPLICA_GONE = "its API replica gone"
LIVE_ENDS = ("its text", REPLICA_GONE, "service_unavailable, to be tried again")


class LiveError(Exception):
    """A live session ended with an error event. kind: for the report."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(slots=True)
class Outcome:
    """What came of it.

    synchronous: answers by kind. live: sessions by end. resent: requests whose API replica was gone.
    without_a_runner: status codes of the synchronous requests that were in flight while one runner was missing, which
    is now if `runner_missing`.
    """

    disturbances: Counter[str] = field(default_factory=Counter)
    synchronous: Counter[str] = field(default_factory=Counter)
    without_a_runner: Counter[int] = field(default_factory=Counter)
    runner_missing: bool = False
    live: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    attempts: Counter[int] = field(default_factory=Counter)
    resent: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def too_many_refusals(self) -> str:
        """What is wrong with the share that was refused while one runner was missing; "" for nothing."""
        total, refused = self.without_a_runner.total(), self.without_a_runner[httpx.codes.SERVICE_UNAVAILABLE]
        if not total:
            return "no synchronous request was answered while a runner was missing"
        if refused >= MOST_REFUSED * total:
            return f"{refused} of {total} synchronous requests were refused while one runner was missing"
        return ""


class Traffic:
    """Clients.

    expected, spoken: text by recording, from before the disturbances; of the file, and of a live session.
    """

    def __init__(self, urls: list[str], recordings: list[Path], outcome: Outcome) -> None:
        self._urls = itertools.cycle(urls)
        self._recordings = recordings
        self._outcome = outcome
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.expected: dict[Path, str] = {}
        self.spoken: dict[Path, str] = {}
        self.stop = threading.Event()

    def learn(self) -> None:
        """Transcribe everything once, undisturbed."""
        for path in self._recordings:
            self.expected[path] = self._post(path, next(self._numbers)).raise_for_status().text
        for path in self._recordings[:SPOKEN]:
            self.spoken[path] = self._speak(path)

    def synchronous(self) -> None:
        """One client, until `stop`."""
        while not self.stop.is_set():
            number = next(self._numbers)
            path = self._recordings[number % 2]  # the short ones
            missing_then = self._outcome.runner_missing
            answer = self._post(path, number)
            kind = str(answer.status_code)
            if answer.status_code != httpx.codes.OK:
                kind += f" ({answer.text[:SHOWN]})"
            with self._lock:
                self._outcome.synchronous[kind] += 1
                if missing_then or self._outcome.runner_missing:
                    self._outcome.without_a_runner[answer.status_code] += 1
                if answer.status_code == httpx.codes.OK and answer.text != self.expected[path]:
                    self._outcome.problems.append(f"synchronous {path.name}: another text")
                elif answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "Retry-After" not in answer.headers:
                    self._outcome.problems.append("503 without Retry-After")
                elif answer.status_code not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
                    self._outcome.problems.append(f"synchronous: {kind} {answer.text[:200]}")
            if answer.status_code != httpx.codes.OK:
                self.stop.wait(AGAIN_SECONDS)

    def jobs(self) -> None:
        """One client, which submits a job and waits for its end, until `stop`."""
        while not self.stop.is_set():
            number = next(self._numbers)
            path = self._recordings[number % len(self._recordings)]
            job = self._accepted(path, number)
            ended = self._ended(job)
            result = self._patiently("GET", f"/jobs/{job}/result", params={"response_format": "text"})
            with self._lock:
                self._outcome.jobs += 1
                self._outcome.attempts[ended["attempts"]] += 1
                if ended["status"] != "completed":
                    self._outcome.problems.append(f"{path.name}: {ended['status']}, {ended.get('error')}")
                elif not result.is_success:
                    self._outcome.problems.append(f"{path.name}: completed, and then {result.text[:SHOWN]}")
                elif result.text != self.expected[path]:
                    self._outcome.problems.append(f"job {path.name}: another text")

    def live(self) -> None:
        """One client, which speaks in one session after another, until `stop`."""
        while not self.stop.is_set():
            path = self._recordings[next(self._numbers) % SPOKEN]
            try:
                text = self._speak(path)
                kind = "its text" if text == self.spoken[path] else "another text"
            except LiveError as error:
                kind = error.kind
            except (httpx_ws.HTTPXWSException, httpx.TransportError):
                kind = REPLICA_GONE
            except Empty:
                kind = "no event for a minute"
            with self._lock:
                self._outcome.live[kind] += 1
                if kind not in LIVE_ENDS:
                    self._outcome.problems.append(f"live {path.name}: {kind}")
            if kind != LIVE_ENDS[0]:
                self.stop.wait(AGAIN_SECONDS)

    def _speak(self, path: Path) -> str:
        """The text of one utterance. Raises LiveError, and the errors of the client."""
        with self._lock:
            url = next(self._urls)
        with httpx.Client(base_url=url, timeout=REQUEST_SECONDS) as client, live_client(client) as session:
            session.start(language="en", turn_detection=None)
            with suppress(LocalProtocolError):  # the replica closes the connection; its last event says why
                session.speak(pcm_of(path))
                session.send(type="finish")
            while (event := session.next())["type"] != "finished":
                if event["type"] == "error":
                    raise LiveError(f"{event['error']}, to be tried again" if event.get("retry_after") else str(event))
            return " ".join(final["text"] for final in session.of("final"))

    def _accepted(self, path: Path, number: int) -> str:
        fields = {"async": "true", "language": "en", "initial_prompt": str(number)}
        files = {"file": (path.name, path.read_bytes())}
        headers = {"Idempotency-Key": f"key-{number}"}
        answer = self._patiently("POST", "/transcribe", files=files, data=fields, headers=headers)
        return str(answer.raise_for_status().json()["job_id"])

    def _ended(self, job: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while (state := self._patiently("GET", f"/status/{job}").json())["status"] in ("queued", "processing"):
            if time.monotonic() > deadline:
                return {**state, "attempts": state.get("attempts", 0)}
            time.sleep(AGAIN_SECONDS)
        return state

    def _post(self, path: Path, number: int) -> httpx.Response:
        """A synchronous request of its own: the prompt makes its windows different from all others."""
        fields = {"language": "en", "response_format": "text", "initial_prompt": str(number)}
        files = {"file": (path.name, path.read_bytes())}
        return self._sent("POST", "/transcribe", files=files, data=fields, headers=UNSHARED)

    def _patiently(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while (answer := self._sent(method, path, **arguments)).status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path}: {answer.status_code} {answer.text}")
            time.sleep(AGAIN_SECONDS)
        return answer

    def _sent(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """The answer of a replica; of the other one if the first is gone."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._lock:
                url = next(self._urls)
            try:
                return httpx.request(method, url + path, timeout=REQUEST_SECONDS, **arguments)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                with self._lock:
                    self._outcome.resent += 1
                time.sleep(AGAIN_SECONDS)
