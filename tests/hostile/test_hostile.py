"""Hostile files at the public door: each gets a transcript or a refusal, in time, and leaves nothing behind."""

from __future__ import annotations

import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.hostile_files import SPOKEN, Canary, Hostile, make
from tests.support.leftovers import files_under
from tests.support.media_files import noise, write_wav
from tests.support.service import LocalService, local_service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(300)  # the first test waits for the whole corpus, about 40 s

MAX_DURATION = 60  # seconds
DECODE_TIMEOUT = 10  # seconds
LONGEST_ANSWER = 60.0  # seconds: probing, decoding, and the other files at once
AT_ONCE = 3
MEMORY_GROWTH = 200 << 20  # bytes of all processes: models and caches warm up with the first files
# What the service may answer to a file: never a 5xx, never anything that blames the server.
REFUSALS = {400, 413, 422}
SHAPE = {"error", "message", "request_id"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one file met. code: of the error, "" with a transcript. seconds: until the answer."""

    file: Hostile
    status: int
    code: str
    answer: dict[str, object]
    seconds: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the service's processes hold."""

    processes: int
    descriptors: int
    memory: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """The whole corpus, sent once."""

    outcomes: list[Outcome]
    before: Footprint
    after: Footprint
    left_files: list[Path]
    connections: int
    still_works: httpx.Response


def footprint(service: LocalService) -> Footprint:
    root = psutil.Process(service.process.pid)
    processes = [root, *root.children(recursive=True)]
    return Footprint(
        len(processes),
        sum(process.num_fds() for process in processes),
        sum(process.memory_info().rss for process in processes),
    )


def settled(service: LocalService, temp_dir: Path, before: Footprint) -> Footprint:
    def is_settled() -> bool:
        now = footprint(service)
        return now.processes <= before.processes and now.descriptors <= before.descriptors and not files_under(temp_dir)

    wait_until(is_settled)
    return footprint(service)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    folder, temp_dir = tmp_path_factory.mktemp("corpus"), tmp_path_factory.mktemp("uploads")
    environment = {
        "WHISPER_MODEL": "demo",
        "WHISPER_MODEL_DIR": str(tmp_path_factory.mktemp("models")),
        "TEMP_DIR": str(temp_dir),
        "CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "MAX_FILE_SIZE": "4000000",
        "MAX_DURATION": str(MAX_DURATION),
        "DECODE_TIMEOUT": str(DECODE_TIMEOUT),
        "ENABLE_CACHE": "false",
    }
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        local_service(environment, tmp_path_factory.mktemp("log") / "service.log") as service,
        httpx.Client(base_url=service.url, timeout=120) as client,
    ):
        listener.setblocking(False)
        # Beside the uploads, where a relative name would lead as well.
        canary = Canary(write_wav(folder / "canary.wav", noise(5)), f"http://127.0.0.1:{listener.getsockname()[1]}/x")
        files = make(folder, canary)
        for _ in range(2 * AT_ONCE):
            send(client, SPOKEN, SPOKEN.name)
        before = footprint(service)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(lambda file: outcome(client, file), files))
        after = settled(service, temp_dir, before)
        yield Campaign(
            outcomes,
            before,
            after,
            files_under(temp_dir),
            connections(listener),
            send(client, SPOKEN, SPOKEN.name),
        )


def send(client: httpx.Client, path: Path, name: str) -> httpx.Response:
    return client.post("/transcribe", files={"file": (name, path.read_bytes(), "application/octet-stream")})


def outcome(client: httpx.Client, file: Hostile) -> Outcome:
    start = time.monotonic()
    response = send(client, file.path, file.name)
    answer = response.json()
    code = "" if response.is_success else str(answer["error"])
    return Outcome(file, response.status_code, code, answer, time.monotonic() - start)


def connections(listener: socket.socket) -> int:
    try:
        listener.accept()
    except BlockingIOError:
        return 0
    return 1


def test_every_file_gets_a_transcript_or_a_refusal(campaign: Campaign) -> None:
    unexpected = [seen for seen in campaign.outcomes if seen.status != 200 and seen.status not in REFUSALS]
    assert unexpected == []


def test_every_refusal_has_the_one_shape(campaign: Campaign) -> None:
    for seen in campaign.outcomes:
        if seen.status != 200:
            assert seen.answer.keys() >= SHAPE, seen
            assert seen.answer["message"], seen


def test_every_answer_comes_in_time(campaign: Campaign) -> None:
    slow = [(seen.file.path.name, seen.seconds) for seen in campaign.outcomes if seen.seconds > LONGEST_ANSWER]
    assert slow == []


def test_no_refusal_names_a_path_of_ours(campaign: Campaign) -> None:
    told = [seen for seen in campaign.outcomes if "upload-" in str(seen.answer) or "Traceback" in str(seen.answer)]
    assert told == []


def test_no_process_connects_to_the_address_that_a_file_names(campaign: Campaign) -> None:
    assert campaign.connections == 0


def test_no_file_that_names_another_is_answered_with_that_ones_sound(campaign: Campaign) -> None:
    """The canary is the only sound of five seconds; our own clip, which the forged movies hold, has three."""
    seen = [one for one in campaign.outcomes if one.file.kind.startswith("names other")]
    assert len(seen) > 50
    for one in seen:
        if one.status == 200:
            assert one.file.name.startswith("drefs"), one
            assert 2.5 < float(one.answer.get("duration", 3)) < 3.6, one


def test_nothing_is_left(campaign: Campaign) -> None:
    assert campaign.left_files == []
    assert campaign.after.processes <= campaign.before.processes
    assert campaign.after.descriptors <= campaign.before.descriptors + AT_ONCE  # kept connections between the services
    assert campaign.after.memory - campaign.before.memory < MEMORY_GROWTH


def test_the_service_works_as_before(campaign: Campaign) -> None:
    assert campaign.still_works.status_code == 200
    assert campaign.still_works.json()["text"]


def test_the_table_for_the_documentation(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{table(campaign.outcomes)}\n")
    assert len({seen.file.kind for seen in campaign.outcomes}) >= 11


def table(outcomes: list[Outcome]) -> str:
    """Counts by class and outcome, as Markdown."""
    codes = ["", *sorted({seen.code for seen in outcomes if seen.code})]
    counts = Counter((seen.file.kind, seen.code) for seen in outcomes)
    rows = [f"| files | number | {' | '.join(code or 'transcript' for code in codes)} | slowest |"]
    rows.append("|---" * (len(codes) + 3) + "|")
    for kind in dict.fromkeys(seen.file.kind for seen in outcomes):
        ours = [seen for seen in outcomes if seen.file.kind == kind]
        cells = " | ".join(str(counts[kind, code] or "") for code in codes)
        rows.append(f"| {kind} | {len(ours)} | {cells} | {max(seen.seconds for seen in ours):.1f} s |")
    return "\n".join(rows)
