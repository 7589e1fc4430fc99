"""Disconnects and concurrency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.support.clips import SpokenClip, Transcribe
from tests.support.connections import connect, form_with, request_head
from tests.support.leftovers import leftovers
from tests.support.load import wait_until_idle, windows_begun
from tests.support.recordings import Recordings
from tests.support.service import LocalService
from tests.support.waiting import wait_until


def test_a_client_that_leaves_during_the_upload_leaves_nothing(service: LocalService, temp_dir: Path) -> None:
    connection = connect(service)
    connection.sendall(request_head("leaves-early", 1_500_000) + form_with(b"\xff" * 200_000)[:-10])
    assert wait_until(lambda: leftovers(service, temp_dir))
    connection.close()
    assert wait_until(lambda: not leftovers(service, temp_dir))
    assert '"status_code": 499' in service.logged("leaves-early", '"message": "request"')


def test_a_client_that_leaves_during_the_work_takes_it_along(
    service: LocalService,
    client: httpx.Client,
    temp_dir: Path,
    recordings: Recordings,
    transcribe: Transcribe,
    spoken_clip: SpokenClip,
) -> None:
    before = windows_begun(client)
    body = form_with(recordings.speech("ten-minutes.mp3", 590).read_bytes())
    connection = connect(service)
    connection.sendall(request_head("leaves-late", len(body), "?language=en&beam_size=10") + body)
    assert wait_until(lambda: windows_begun(client) > before)
    connection.close()
    assert wait_until(lambda: not leftovers(service, temp_dir))
    assert '"status_code": 499' in service.logged("leaves-late", '"message": "request"')
    assert wait_until_idle(client)
    assert transcribe(spoken_clip.path, language="en").status_code == 200


def test_requests_at_the_same_time_are_all_answered(transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: transcribe(spoken_clip.path, language="en"), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["text"] for answer in answers}) == 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
