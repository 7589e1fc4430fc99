"""Work that a server does: the recording becomes a job there, which is followed to its end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import httpx

from formats.registry import ResponseFormat
from transcription.cli.order import Failed, Order, Progress, Unreachable

POLL_SECONDS = 0.5
PATIENCE = httpx.Timeout(60.0, connect=10.0)
RETRIED = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
LONGEST_WAIT = 60.0  # seconds between two tries, whatever the server asks for


class Server:
    """timeout: seconds that one recording may take, waiting for the server included."""

    def __init__(self, url: str, api_key: str, timeout: float) -> None:
        self._url = url
        self._timeout = timeout
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers={"X-API-Key": api_key} if api_key else {}, timeout=PATIENCE
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def transcribe(self, order: Order, progress: Progress) -> Mapping[ResponseFormat, str]:
        """As a job; where the server has none, in one request a format."""
        deadline = time.monotonic() + self._timeout
        parameters = {**order.parameters, "async": "true", "response_format": order.formats[0].value}
        answer = self._upload(order, parameters, deadline, progress)
        if answer.status_code == httpx.codes.NOT_IMPLEMENTED:
            return {each: self._at_once(order, each, deadline, progress) for each in order.formats}
        job = str(_accepted(answer).json()["job_id"])
        try:
            self._follow(job, deadline, progress)
        except BaseException:
            self._cancel(job)
            raise
        return {each: self._result(job, each) for each in order.formats}

    def _at_once(self, order: Order, each: ResponseFormat, deadline: float, progress: Progress) -> str:
        parameters = {**order.parameters, "response_format": each.value}
        return _accepted(self._upload(order, parameters, deadline, progress)).text

    def _upload(
        self, order: Order, parameters: Mapping[str, str], deadline: float, progress: Progress
    ) -> httpx.Response:
        """The last answer; the server may ask for patience before it."""
        while True:
            with order.path.open("rb") as file:
                sent = Counted(file, order.path.stat().st_size, progress)
                try:
                    left = max(1.0, deadline - time.monotonic())
                    answer = self._http.post(
                        "/transcribe",
                        files={"file": (order.name, sent)},  # type: ignore[dict-item]  # all that is used of a file
                        data=dict(parameters),
                        timeout=httpx.Timeout(left, connect=PATIENCE.connect),
                    )
                except httpx.ConnectError as error:
                    raise Unreachable(f"{self._url} cannot be reached: {error}. Is the service running?") from None
                except httpx.TransportError as error:
                    raise Failed(f"the connection broke off: {error or type(error).__name__}") from None
            if answer.status_code not in RETRIED:
                return answer
            self._wait(answer, deadline, progress)

    def _wait(self, answer: httpx.Response, deadline: float, progress: Progress) -> None:
        """Raises Unreachable when the time is over before the server wants to be asked again."""
        asked_for = answer.headers.get("retry-after", "")
        seconds = min(float(asked_for) if asked_for.isdigit() else 5.0, LONGEST_WAIT)
        if time.monotonic() + seconds > deadline:
            raise Unreachable(f"{self._url} has no room: {_message(answer)}")
        progress("waiting for the server", None)
        time.sleep(seconds)

    def _follow(self, job: str, deadline: float, progress: Progress) -> None:
        while True:
            status = self._ask(f"/status/{job}").json()
            if status["status"] == "completed":
                progress("transcribed", 1.0)
                return
            if status["status"] in ("failed", "cancelled"):
                raise Failed(status.get("detail") or f"the job was {status['status']} on the server")
            if time.monotonic() > deadline:
                raise Failed(f"not done within {self._timeout:g} s; the job was cancelled. Use a longer --timeout.")
            share = status.get("progress")
            progress(
                "queued" if status["status"] == "queued" else "transcribing", None if share is None else share / 100
            )
            time.sleep(POLL_SECONDS)

    def _result(self, job: str, each: ResponseFormat) -> str:
        return self._ask(f"/jobs/{job}/result", response_format=each.value).text

    def _ask(self, path: str, **query: str) -> httpx.Response:
        """Raises Failed, when the server does not answer several times in a row."""
        for patience in (1.0, 2.0, 4.0, 8.0, 0.0):
            try:
                answer = self._http.get(path, params=query)
            except httpx.TransportError as error:
                if not patience:
                    raise Unreachable(f"{self._url} does not answer any more: {error}") from None
            else:
                if answer.status_code not in RETRIED or not patience:
                    return _accepted(answer)
            time.sleep(patience)
        raise AssertionError("the last try returns or raises")

    def _cancel(self, job: str) -> None:
        with suppress(httpx.TransportError):  # then the server is gone, too
            self._http.delete(f"/jobs/{job}", timeout=5)


class Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, progress: Progress) -> None:
        self._file = file
        self._size = size
        self._progress = progress
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        block = self._file.read(size)
        self._read += len(block)
        self._progress("uploading", self._read / self._size if self._size else 1.0)
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)  # seek, tell, fileno: httpx asks for the length


def _accepted(answer: httpx.Response) -> httpx.Response:
    """Raises Failed with what the server says."""
    if answer.is_success:
        return answer
    raise Failed(_message(answer))


def _message(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return f"{body['message']} (request {body['request_id']})"
    except (ValueError, KeyError, TypeError):
        return f"the server answers {answer.status_code}, and not as this service does. Is the address right?"
