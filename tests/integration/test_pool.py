"""An API and a worker without a model, and a runner that is deployed alone: real server, real weights, real speech."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from tests.support.cluster import Member, redis_member, worker_member
from tests.support.jobs import finished, submit
from tests.support.pool import TOKEN, pool_of, window
from tests.support.service import UNSHARED, LocalService, ask, connected, folders, free_port, local_service
from tests.support.waiting import wait_until
from transcription.core.options import DecodeOptions, Ticket

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "2412-153954-0011.mp3"


@dataclass(frozen=True, slots=True)
class Pool:
    """worker: takes jobs from the Redis that the API puts them into."""

    runner: LocalService
    api: LocalService
    worker: Member


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    folder = tmp_path_factory.mktemp("pool")
    for name in ("runner", "api"):
        (folder / name).mkdir()
    port = free_port()
    redis = redis_member(folder, port)
    with ExitStack() as stack:
        stack.callback(redis.kill)
        redis.start()
        runner = stack.enter_context(
            local_service(
                {"RUNNER_TOKEN": TOKEN, "MODELS": "demo"},
                folder / "runner" / "log",
                target="service:WhisperRunner",
                ready_path="/readyz",
            )
        )
        settings = {
            "RUNNER_TOKEN": TOKEN,
            "RUNNER_URL": runner.url,
            "ALLOWED_MODELS": "demo,tiny",
            "WHISPER_MODEL": "demo",
            "JOB_BACKEND": "celery",
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "JOBS_DIR": str(folder / "jobs"),
        }
        worker = worker_member("worker", folder, {**folders(folder), **settings}, free_port())
        stack.callback(worker.kill)
        worker.start(wait=False)
        api = stack.enter_context(local_service(settings, folder / "api" / "log"))
        worker.wait_until_up()
        yield Pool(runner, api, worker)


def processes(service: LocalService) -> list[psutil.Process]:
    supervisor = psutil.Process(service.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def transcribe(service: LocalService, **form: str) -> httpx.Response:
    with connected(service) as client, SPEECH.open("rb") as file:
        return client.post("/transcribe", files={"file": file}, data=form)


def test_a_recording_is_transcribed_by_the_runner(pool: Pool) -> None:
    answer = transcribe(pool.api, language="en", response_format="text")

    assert answer.status_code == 200, answer.text
    assert len(answer.text.split()) > 3
    assert "transcription_windows_total" in ask(f"{pool.runner.url}/metrics").text
    assert ask(f"{pool.api.url}/health").json()["device"] == "cpu"


def test_the_api_loads_no_model_and_fits_into_512_megabytes(pool: Pool) -> None:
    memory = sum(each.memory_full_info().pss for each in processes(pool.api))

    assert memory < 512 * 2**20
    assert "transcription_model_loads_total{" in ask(f"{pool.runner.url}/metrics").text
    assert "transcription_model_loads_total{" not in ask(f"{pool.api.url}/metrics").text


def test_a_job_is_done_by_a_worker_without_a_model(pool: Pool) -> None:
    text = transcribe(pool.api, language="en", response_format="text", temperature="0").text
    with connected(pool.api) as client:
        # Another request than the one above, whose result would be found in the cache.
        job = submit(client, SPEECH, headers=UNSHARED, language="en", temperature="0")
        done = finished(client, job)
        result = client.get(f"/jobs/{job}/result", params={"response_format": "text"}).text

    assert (done["status"], done["attempts"]) == ("completed", 1)
    assert result == text
    told = ask(f"http://127.0.0.1:{pool.worker.environment['METRICS_PORT']}/metrics").text
    assert 'transcription_job_attempts_total{outcome="completed"} 1.0' in told
    assert "transcription_model_loads_total{" not in told


def test_a_model_that_no_runner_serves_is_unavailable(pool: Pool) -> None:
    answer = transcribe(pool.api, model="tiny")

    assert answer.status_code == 503
    assert "MODELS" in answer.text


def test_a_runner_answers_no_pickle_and_nobody_without_the_token(pool: Pool) -> None:
    url = pool.runner.url
    authorized = {"Authorization": f"Bearer {TOKEN}"}
    pickle = {**authorized, "Content-Type": "application/vnd.bentoml+pickle"}

    assert ask(f"{url}/runner/watch").status_code == 401
    assert httpx.post(f"{url}/transcribe", content=b"cos\n.", headers=pickle, verify=False).status_code == 404
    assert ask(f"{url}/docs.json", headers=authorized).status_code == 404


def test_the_api_is_not_ready_while_no_runner_is_and_its_answers_name_the_wait(pool: Pool) -> None:
    def readiness() -> int:
        return ask(f"{pool.api.url}/health/ready").status_code

    largest = max(processes(pool.runner), key=lambda each: each.memory_info().rss)  # it has the model
    os.kill(largest.pid, signal.SIGKILL)
    assert wait_until(lambda: readiness() == 503)
    answer = transcribe(pool.api)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert wait_until(lambda: readiness() == 200)  # the supervisor replaces the process
    assert transcribe(pool.api, language="en").status_code == 200


def test_a_runner_that_is_stopped_sends_clients_away_and_finishes_what_it_has(pool: Pool) -> None:
    port = int(pool.runner.url.rpartition(":")[2])

    async def scenario() -> None:
        async with pool_of([port]) as client:
            options = DecodeOptions("demo", language="en")
            windows = [window(number, 15.0) for number in range(12)]
            calls = [
                asyncio.create_task(client.transcribe(each, options, Ticket(str(number))))
                for number, each in enumerate(windows)
            ]
            while not any(call.done() for call in calls):
                await asyncio.sleep(0.01)
            pool.runner.process.send_signal(signal.SIGTERM)
            while client.ready_runners:
                await asyncio.sleep(0.01)
            assert not all(call.done() for call in calls)
            assert len(await asyncio.gather(*calls)) == len(windows)

    asyncio.run(scenario())
