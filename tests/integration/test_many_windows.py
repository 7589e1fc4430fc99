"""More windows at once than BentoML's own connections between services would carry."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.support.recordings import Recordings
from transcription.pipeline.decode_windows import WINDOWS_IN_FLIGHT

WINDOWS = 18  # a recording
CLIENTS = 7
CONNECTIONS = 100  # BentoML 1.4 opens no more, and replaces them after as many requests


def test_more_than_a_hundred_windows_in_flight_all_come_back(client: httpx.Client, recordings: Recordings) -> None:
    assert CLIENTS * WINDOWS_IN_FLIGHT > CONNECTIONS
    path = recordings.silence("many-windows.flac", 30 * WINDOWS)
    fields = {"language": "en", "vad_filter": "false", "hallucinations": "keep", "beam_size": "1"}

    def post(_: int) -> httpx.Response:
        return client.post("/transcribe", files={"file": (path.name, path.read_bytes())}, data=fields)

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(post, range(CLIENTS)))
    assert [answer.status_code for answer in answers] == [200] * CLIENTS
    assert {answer.json()["duration"] for answer in answers} == {30.0 * WINDOWS}
