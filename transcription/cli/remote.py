"""Transcribes on a server: submits each recording as a job and polls it until it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, BinaryIO

import httpx

from formats.registry import ResponseFormat
from transcription.cli.job_events import ENDS, events_in
from transcription.cli.live_engine import LiveEngine
from transcription.cli.transcriber import (
    ModelLine,
    RecordingFailed,
    RecordingRequest,
    ReportProgress,
    ServerUnavailable,
    state_of,
)

POLL_SECONDS = 0.5
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
RETRIED_STATUSES = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
MAX_RETRY_SECONDS = 60.0  # upper limit for the server's Retry-After


class RemoteTranscriber:
    """Transcribes on the server at `url`.

    timeout: seconds that one recording may take, including waits for the server.
    """

    def __init__(self, url: str, api_key: str, timeout: float) -> None:
        url = url if "://" in url else f"http://{url}"
        self._url = url
        self._api_key = api_key
        self._timeout = timeout
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers={"X-API-Key": api_key} if api_key else {}, timeout=TIMEOUT
        )

    def close(self, *, interrupted: bool = False) -> None:
        """Close the connections."""
        self._http.close()

    def transcribe(self, request: RecordingRequest, report: ReportProgress) -> Mapping[ResponseFormat, str]:
        """The transcript in each format, from one job. If jobs are turned off there, from one request per format."""
        deadline = time.monotonic() + self._timeout
        parameters = {**request.parameters, "async": "true", "response_format": request.formats[0].value}
        answer = self._upload(request, parameters, deadline, report)
        if answer.status_code == httpx.codes.NOT_IMPLEMENTED:
            return {each: self._transcribe_synchronously(request, each, deadline, report) for each in request.formats}
        job = str(_accepted(answer).json()["job_id"])
        try:
            self._follow(job, deadline, request, report)
        except BaseException:
            self._cancel(job)
            raise
        return {each: self._result(job, each) for each in request.formats}

    def _transcribe_synchronously(
        self, request: RecordingRequest, each: ResponseFormat, deadline: float, report: ReportProgress
    ) -> str:
        parameters = {**request.parameters, "response_format": each.value}
        return _accepted(self._upload(request, parameters, deadline, report)).text

    def _upload(
        self, request: RecordingRequest, parameters: Mapping[str, str], deadline: float, report: ReportProgress
    ) -> httpx.Response:
        """The response to an upload, which is repeated while the server asks to retry later."""
        while True:
            with request.path.open("rb") as file:
                upload = UploadedFile(file, request.path.stat().st_size, report)
                try:
                    left = max(1.0, deadline - time.monotonic())
                    answer = self._http.post(
                        "/transcribe",
                        files={"file": (request.name, upload)},  # type: ignore[dict-item]  # has what httpx uses of a file
                        data=dict(parameters),
                        timeout=httpx.Timeout(left, connect=TIMEOUT.connect),
                    )
                except httpx.ConnectError as error:
                    raise _unreachable(self._url, error) from None
                except httpx.LocalProtocolError:
                    raise RecordingFailed("it became shorter while it was sent. Wait until it is complete.") from None
                except httpx.TransportError as error:
                    raise RecordingFailed(f"the connection was lost: {error or type(error).__name__}") from None
            if answer.status_code not in RETRIED_STATUSES:
                return answer
            self._wait(answer, deadline, report)

    def _wait(self, answer: httpx.Response, deadline: float, report: ReportProgress) -> None:
        """Wait as long as Retry-After says. Raises ServerUnavailable if the deadline is earlier."""
        retry_after = answer.headers.get("retry-after", "")
        seconds = min(float(retry_after) if retry_after.isdigit() else 5.0, MAX_RETRY_SECONDS)
        if time.monotonic() + seconds > deadline:
            raise ServerUnavailable(f"{self._url} has no capacity: {_message(answer)}")
        report("waiting for the server", None)
        time.sleep(seconds)

    def live(self, parameters: Mapping[str, str]) -> AbstractAsyncContextManager[LiveEngine]:
        """A session for live audio. Raises RecordingFailed and ServerUnavailable when it is entered."""
        from transcription.cli.live_remote import opened  # late: files need no WebSocket

        return opened(self._url, self._api_key, parameters)

    def models(self) -> list[ModelLine]:
        """The models of GET /models. Raises ServerUnavailable."""
        try:
            return [
                ModelLine(
                    each["name"],
                    each["size"],
                    each["accuracy"],
                    state_of(is_default=each["default"], is_on_disk=each["on_disk"]),
                )
                for each in _accepted(self._http.get("/models")).json()["models"]
            ]
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from None
        except RecordingFailed as error:
            raise ServerUnavailable(f"{self._url}: {error}") from None

    def _listen(self, job: str, deadline: float, request: RecordingRequest, report: ReportProgress) -> None:
        """Show text and progress as they come, until the job ends or the events break off: `_follow` does the rest."""
        with suppress(httpx.TransportError), self._http.stream("GET", f"/jobs/{job}/events") as answer:
            if not answer.is_success:
                return
            for kind, data in events_in(answer.iter_lines()):
                if kind == "segment":
                    request.show(data["start"], data["end"], data["text"])
                elif kind == "progress":
                    _report_status(data, report)
                if kind in ENDS or time.monotonic() > deadline:
                    return

    def _follow(self, job: str, deadline: float, request: RecordingRequest, report: ReportProgress) -> None:
        self._listen(job, deadline, request, report)
        while True:
            status = self._get(f"/status/{job}").json()
            if status["status"] == "completed":
                report("transcribed", 1.0)
                for warning in status.get("warnings", ()):
                    request.warn(warning["message"])
                return
            if status["status"] in ("failed", "cancelled"):
                raise RecordingFailed(status.get("detail") or f"the job was {status['status']} on the server")
            if time.monotonic() > deadline:
                raise RecordingFailed(
                    f"not finished within {self._timeout:g} s; the job was cancelled. Use a longer --timeout."
                )
            _report_status(status, report)
            time.sleep(POLL_SECONDS)

    def _result(self, job: str, each: ResponseFormat) -> str:
        return self._get(f"/jobs/{job}/result", response_format=each.value).text

    def _get(self, path: str, **query: str) -> httpx.Response:
        """GET, repeated after errors of the connection. Raises ServerUnavailable and RecordingFailed."""
        for delay in (1.0, 2.0, 4.0, 8.0, 0.0):
            try:
                answer = self._http.get(path, params=query)
            except httpx.TransportError as error:
                if not delay:
                    raise ServerUnavailable(f"{self._url} stopped responding: {error}") from None
            else:
                if answer.status_code not in RETRIED_STATUSES or not delay:
                    return _accepted(answer)
            time.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def _cancel(self, job: str) -> None:
        with suppress(httpx.TransportError):  # the error that led here is raised in any case
            self._http.delete(f"/jobs/{job}", timeout=5)


class UploadedFile:
    """A file that reports how much of it has been read.

    It has as many bytes as at the beginning, which is the length that was declared: a recording may still go on.
    """

    def __init__(self, file: BinaryIO, size: int, report: ReportProgress) -> None:
        self._file = file
        self._size = size
        self._report = report
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        left = max(0, self._size - self._file.tell())
        block = self._file.read(left if size < 0 else min(size, left))
        self._read += len(block)
        self._report("uploading", self._read / self._size if self._size else 1.0)
        return block

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place from the beginning, or from the end. By the end httpx finds the length."""
        return self._file.seek(offset + (self._size if whence == os.SEEK_END else 0))

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()


def _unreachable(url: str, error: Exception) -> ServerUnavailable:
    return ServerUnavailable(f"{url} cannot be reached: {error or type(error).__name__}. Is the service running?")


def _report_status(status: Mapping[str, Any], report: ReportProgress) -> None:
    share = status.get("progress")
    report("queued" if status["status"] == "queued" else "transcribing", None if share is None else share / 100)


def _accepted(answer: httpx.Response) -> httpx.Response:
    """The response if it is a success. Raises RecordingFailed with the server's message."""
    if answer.is_success:
        return answer
    raise RecordingFailed(_message(answer))


def _message(answer: httpx.Response) -> str:
    try:
        body = answer.json()
        return f"{body['message']} (request {body['request_id']})"
    except (ValueError, KeyError, TypeError):
        return (
            f"the server returned status {answer.status_code} without an error of this service. Is the address right?"
        )
