"""The runner is killed, freezes, or cannot load a model: the effect on the API, its clients and their recordings."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from runners.batching.queue import size_of
from runners.batching.scheduler import PATIENCE
from runners.host import LAST_ANSWERS_SECONDS
from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.load import sample
from tests.support.recordings import Recordings
from tests.support.service import UNSHARED, LocalService, ask, local_service
from tests.support.waiting import wait_until
from transcription.core.audio import SAMPLE_RATE

RECOVERY_SECONDS = 120.0  # the limit of a failure; it takes a few seconds on an idle machine
LONGER = 14  # seconds; than the clip, and still one window
TRIES = 5  # to stop the process while it has work, which a quick machine has done at once
RUNNER = "whisper_runner"


@dataclass(frozen=True, slots=True)
class FragileService:
    """A service of its own, whose runner may be hurt.

    journal: folder of what its runner is working on. served: the runner and the seconds of each answered request.
    """

    service: LocalService
    client: httpx.Client
    journal: Path
    served: list[tuple[int, float]] = field(default_factory=list)

    def runner(self) -> int:
        """Process id of the runner; 0 while there is none."""
        for child in psutil.Process(self.service.process.pid).children(recursive=True):
            try:
                if RUNNER in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    return int(child.pid)
            except psutil.NoSuchProcess:
                continue
        return 0

    def transcribe(self, path: Path, **fields: str) -> httpx.Response:
        # A client a request: these come from several threads.
        with path.open("rb") as file:
            url = f"{self.service.url}/transcribe"
            started = time.monotonic()
            answer = httpx.post(url, files={"file": file}, data=fields, headers=UNSHARED, timeout=120)
        if answer.is_success:
            self.served.append((self.runner(), time.monotonic() - started))
        return answer

    def transcribe_frozen(self, path: Path, victim: int, seconds: float) -> httpx.Response:
        """Transcribe while the runner stands still for so long or until it is replaced, once it has a window."""
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(self.transcribe, path, language="en", beam_size="10")
            self.wait_for_work()
            os.kill(victim, signal.SIGSTOP)
            try:
                if self.has_work():  # else it had answered before it was stopped
                    wait_until(lambda: self.runner() != victim, seconds)
            finally:
                with suppress(ProcessLookupError):  # replaced
                    os.kill(victim, signal.SIGCONT)
            return answer.result()

    def has_work(self) -> bool:
        """Whether a window is on the device."""
        return any(path.stat().st_size > len("[]") for path in self.journal.glob("*.running"))

    def wait_for_work(self) -> None:
        """Until a window is on the device."""
        assert wait_until(self.has_work, 60)

    def wait_until_ready(self, other_than: int = 0) -> float:
        """Seconds until a runner, not the one named, is ready."""
        started = time.monotonic()
        # A connection each: between two of them the server may have closed one that is kept.
        ready = f"{self.service.url}/health/ready"
        assert wait_until(
            lambda: self.runner() not in (0, other_than) and ask(ready, timeout=60).status_code == 200,
            RECOVERY_SECONDS,
        )
        return time.monotonic() - started


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FragileService]:
    folder = tmp_path_factory.mktemp("fragile")
    broken = folder / "models" / "broken"
    broken.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json"):
        (broken / name).write_text("{}")
    environment = {
        "BATCH_TIMEOUT": "1",
    }
    with (
        local_service(environment, folder / "log") as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        yield FragileService(service, client, folder / "cache" / "runner")


def test_a_killed_runner_comes_back_while_the_api_stays_up(
    fragile: FragileService, recordings: Recordings, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = recordings.speech("a-minute.mp3", 60)
    victim = fragile.runner()
    with ThreadPoolExecutor(4) as clients:
        answers = [clients.submit(fragile.transcribe, recording, language="en", beam_size="10") for _ in range(4)]
        fragile.wait_for_work()
        os.kill(victim, signal.SIGKILL)
        assert fragile.client.get("/health/live").status_code == 200
        assert fragile.client.get("/health/ready").status_code == 503
        seconds = fragile.wait_until_ready(other_than=victim)
        outcomes = [answer.result() for answer in answers]

    # What was on its way to the runner waits for the next one; what was there is lost, and the caller knows.
    lost = [outcome for outcome in outcomes if outcome.status_code != 200]
    assert lost
    for outcome in lost:
        assert_error(outcome, 503, "service_unavailable")
        assert int(outcome.headers["retry-after"]) > 0
    with capsys.disabled():
        sys.stdout.write(f"\n    ready again {seconds:.1f} s after kill -9 under load\n")


def test_a_recording_that_killed_two_runners_is_refused_and_others_are_not(
    fragile: FragileService, recordings: Recordings, spoken_clip: SpokenClip
) -> None:
    # Its windows have the audio of those of the next test, but not the options.
    recording = recordings.speech("killer.mp3", 25)
    for _ in range(2):
        victim = fragile.runner()
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(fragile.transcribe, recording, language="en", beam_size="9")
            fragile.wait_for_work()
            os.kill(victim, signal.SIGKILL)
            assert_error(answer.result(), 503, "service_unavailable")
        fragile.wait_until_ready(other_than=victim)

    body = assert_error(fragile.transcribe(recording, language="en", beam_size="9"), 422, "refused_recording")
    assert "Convert the recording" in body["message"]
    assert fragile.transcribe(spoken_clip.path).status_code == 200


def test_a_runner_that_freezes_is_replaced_and_its_clients_get_a_retry_after(
    fragile: FragileService, recordings: Recordings, spoken_clip: SpokenClip
) -> None:
    recording = recordings.speech("slow.mp3", LONGER)  # one window, whose deadline is known
    longer = size_of(LONGER * SAMPLE_RATE) / size_of(3 * SAMPLE_RATE)
    for _ in range(TRIES):
        assert fragile.transcribe(spoken_clip.path).status_code == 200
        victim = fragile.runner()
        # The runner has learned its speed from what it served, of which the clip is shortest; from the first of it,
        # too, which took longer.
        slowest = max(seconds for runner, seconds in fragile.served if runner == victim)
        outcome = fragile.transcribe_frozen(recording, victim, PATIENCE * longer * slowest + 2.0)
        if outcome.status_code != 200:  # else it had answered before it was stopped, or as it was to be replaced
            break
        time.sleep(LAST_ANSWERS_SECONDS + 1.0)
        fragile.wait_until_ready()

    assert_error(outcome, 503, "service_unavailable")
    assert int(outcome.headers["retry-after"]) > 0
    fragile.wait_until_ready(other_than=victim)
    assert fragile.transcribe(spoken_clip.path).status_code == 200


def test_a_model_that_cannot_be_loaded_says_why_and_the_others_work(
    fragile: FragileService, spoken_clip: SpokenClip
) -> None:
    body = assert_error(fragile.transcribe(spoken_clip.path, model="broken"), 503, "model_unavailable")

    assert "'broken'" in body["message"]
    assert fragile.transcribe(spoken_clip.path).status_code == 200


def test_nothing_goes_backwards_when_the_runner_is_killed_and_its_gauges_go(
    fragile: FragileService, spoken_clip: SpokenClip
) -> None:
    assert fragile.transcribe(spoken_clip.path).status_code == 200
    decoded = partial(sample, fragile.client, "transcription_windows_total", model="demo")
    loaded = partial(sample, fragile.client, "transcription_loaded_models")
    before, victim = decoded(), fragile.runner()
    assert before >= 1
    assert wait_until(lambda: loaded() == 1)
    os.kill(victim, signal.SIGKILL)
    assert decoded() == before
    # One model in the new process; with the gauge of the dead one it would be two.
    fragile.wait_until_ready(other_than=victim)
    assert wait_until(lambda: loaded() == 1)
    assert fragile.transcribe(spoken_clip.path).status_code == 200
    assert decoded() == before + 1
