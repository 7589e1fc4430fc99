"""More work than the service wants to queue."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.recordings import Recordings
from tests.support.service import UNSHARED, LocalService, local_service

CLIENTS = 16


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    folder = tmp_path_factory.mktemp("impatient")
    environment = {
        "WHISPER_LAYOUT": "1x1x1",
        "MAX_QUEUE_SECONDS": "1",
    }
    with local_service(environment, folder / "log") as service:
        yield service


def test_requests_that_would_wait_too_long_get_a_retry_after_and_accepted_ones_are_served(
    impatient: LocalService, recordings: Recordings, spoken_clip: SpokenClip
) -> None:
    content = recordings.speech("a-minute.mp3", 60).read_bytes()

    def send(_: int) -> httpx.Response:
        fields = {"language": "en", "beam_size": "10", "hallucinations": "keep"}
        file = {"file": ("a.mp3", content)}
        return httpx.post(f"{impatient.url}/transcribe", files=file, data=fields, headers=UNSHARED, timeout=120)

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(send, range(CLIENTS)))

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < CLIENTS
    for answer in refused:
        assert "MAX_QUEUE_SECONDS" in assert_error(answer, 503, "service_unavailable")["message"]
        assert int(answer.headers["retry-after"]) >= 1
    file = {"file": ("b.mp3", spoken_clip.path.read_bytes())}
    assert httpx.post(f"{impatient.url}/transcribe", files=file, timeout=60).status_code == 200
