"""A job's final status reaches the address that the client gave, also after a restart."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.jobs import PATIENCE, finished, post, status, submit
from tests.support.recordings import Recordings
from tests.support.service import connected, serve
from tests.support.waiting import wait_until
from transcription.jobs.webhooks.deliverer import signature

SECRET = "a secret of this deployment, long"


@dataclass
class Receiver:
    """Answers every call with `status`. seen: headers and bodies."""

    status: int = 204
    url: str = ""
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(told.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_port}/done"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told
        server.shutdown()


def test_a_callback_is_signed_and_says_what_the_status_says_also_after_failures_and_a_restart(
    tmp_path: Path, receiver: Receiver, spoken_clip: SpokenClip, recordings: Recordings
) -> None:
    settings = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW": "127.0.0.1"}
    receiver.status = 500
    with serve(tmp_path, **settings) as service, connected(service) as http:
        job = submit(http, spoken_clip.path, callback_url=receiver.url)
        finished(http, job)
        # The outcome, not only the attempt: one that a stop interrupts is repeated after its lease of 40 s.
        assert wait_until(lambda: "500" in status(http, job)["callback"]["detail"], PATIENCE)
        assert status(http, job)["callback"]["state"] == "pending"
        elsewhere = post(http, spoken_clip.path, **{"async": "true", "callback_url": "https://10.0.0.1/done"})
        assert_error(elsewhere, 422, "invalid_parameter")
    receiver.status = 204
    with serve(tmp_path, **settings) as service, connected(service) as http:
        assert wait_until(lambda: status(http, job)["callback"]["state"] == "delivered", PATIENCE)
        final = status(http, job)
        before = len(receiver.seen)
        failed = submit(http, recordings.picture_only("mute.mp4"), callback_url=receiver.url)
        assert wait_until(lambda: len(receiver.seen) > before, PATIENCE)
    for headers, body in receiver.seen:
        stamp = int(headers["webhook-signature"].split(",")[0].removeprefix("t="))
        assert headers["webhook-signature"] == signature(SECRET, stamp, body)
    told = [json.loads(body) for _, body in receiver.seen]
    # Two attempts for the first job, or more where they take their time.
    assert [document["job_id"] for document in told] == [job] * before + [failed]
    assert before >= 2
    assert told[before - 1]["result"] == final["result"]
    assert (told[before]["status"], told[before]["error"]) == ("failed", "no_audio_stream")
