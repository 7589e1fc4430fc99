"""Send many different requests to the real service and watch its memory.

`python -m scripts.soak --model demo` sends 500 and prints what each process holds after every 50. It fails on errors
and on what is left behind; how much memory is too much is for the reader to say.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from scripts.benchmarking.clips import make_clips
from scripts.benchmarking.load import API, RUNNER, descendants, resident, service_processes
from scripts.benchmarking.report import table
from scripts.local_service import UNSHARED, LocalService, local_service
from transcript import SAMPLE_RATE

LENGTHS = (1.0, 3.0, 11.0, 29.0, 60.0, 90.0)  # seconds
NOISE_SECONDS = 5
FORMATS = ("json", "verbose_json", "srt", "vtt", "text")
BROKEN_SHARE, LEAVING_SHARE, NOISE_SHARE = 0.06, 0.08, 0.06
LEAVES_AFTER = 0.3  # seconds
SETTLE_SECONDS = 2.0
READINGS = 3
REQUEST_TIMEOUT = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Request:
    """One request. leaves: the client hangs up in the middle."""

    name: str
    content: bytes
    fields: dict[str, str]
    leaves: bool = False


def make_requests(count: int, files: dict[str, bytes], seed: int = 0) -> list[Request]:
    """A mix of everything callers do, the same for the same seed.

    files: recordings by name; "noise.wav" and "broken.wav" among them.
    """
    chance = random.Random(seed)
    spoken = sorted(set(files) - {"noise.wav", "broken.wav"})
    requests = []
    for _ in range(count):
        draw = chance.random()
        name = chance.choice(spoken)
        if draw < BROKEN_SHARE:
            name = "broken.wav"
        elif draw < BROKEN_SHARE + NOISE_SHARE:
            name = "noise.wav"
        fields = {
            "response_format": chance.choice(FORMATS),
            "timestamp_granularity": chance.choice(("segment", "word")),
            "beam_size": chance.choice(("1", "5")),
            "vad_filter": chance.choice(("true", "true", "false")),
            "language": chance.choice(("", "en", "de")),
        }
        requests.append(Request(name, files[name], fields, leaves=draw > 1 - LEAVING_SHARE))
    return requests


async def send(client: httpx.AsyncClient, request: Request) -> str:
    """The outcome in a word: the status, or "left"."""
    call = client.post("/transcribe", files={"file": (request.name, request.content)}, data=request.fields)
    try:
        response = await asyncio.wait_for(call, LEAVES_AFTER if request.leaves else REQUEST_TIMEOUT)
    except TimeoutError:
        return "left" if request.leaves else "no answer"
    return str(response.status_code)


async def send_all(url: str, requests: Sequence[Request], clients: int) -> Counter[str]:
    """Outcomes, with so many requests in flight."""
    room = asyncio.Semaphore(clients)
    async with httpx.AsyncClient(base_url=url, timeout=REQUEST_TIMEOUT, headers=UNSHARED) as client:

        async def one(request: Request) -> str:
            async with room:
                return await send(client, request)

        return Counter(await asyncio.gather(*(one(request) for request in requests)))


def memory(service: LocalService, name: str) -> float:
    """Megabytes that a service's processes hold, when they have settled."""
    readings = []
    for _ in range(READINGS):
        time.sleep(SETTLE_SECONDS / READINGS)
        readings.append(resident(service_processes(service.process.pid, name)) / 1e6)
    return statistics.median(readings)


def make_files(folder: Path) -> dict[str, bytes]:
    """Recordings by name, speech of several lengths among them."""
    files = {clip.path.name: clip.path.read_bytes() for clip in make_clips(LENGTHS, folder).values()}
    header = files["1s.wav"][:44]
    noise = np.random.default_rng(0).normal(0, 3000, NOISE_SECONDS * SAMPLE_RATE).astype(np.int16)
    files["noise.wav"] = header + noise.tobytes()  # decoders read past a length that is too small
    files["broken.wav"] = b"no recording at all"
    return files


def run(model: str, model_dir: Path | None, count: int, step: int, clients: int) -> list[str]:
    """Print the table; what went wrong."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        environment = {"WHISPER_MODEL": model, "TEMP_DIR": f"{name}/uploads", "CACHE_DIR": f"{name}/cache"}
        if model_dir:
            environment["WHISPER_MODEL_DIR"] = str(model_dir)
        requests = make_requests(count, make_files(folder))
        outcomes: Counter[str] = Counter()
        rows: list[tuple[int, float, float]] = []
        with local_service(environment, folder / "service.log") as service:
            processes = len(descendants(service.process.pid))
            for start in range(0, count, step):
                outcomes += asyncio.run(send_all(service.url, requests[start : start + step], clients))
                rows.append((min(count, start + step), memory(service, API), memory(service, RUNNER)))
                print(f"{rows[-1][0]:5} requests  API {rows[-1][1]:.0f} MB  runner {rows[-1][2]:.0f} MB", flush=True)
            left = [path.name for path in (folder / "uploads").iterdir()]
            more = len(descendants(service.process.pid)) - processes
    first = rows[0]
    lines = [
        (str(done), f"{api:.0f}", f"{api / first[1]:.3f}", f"{runner:.0f}", f"{runner / first[2]:.3f}")
        for done, api, runner in rows
    ]
    print("\n" + table(("requests", "API, MB", "of the first", "runner, MB", "of the first"), lines))
    print("\nOutcomes: " + ", ".join(f"{outcome} {number}" for outcome, number in sorted(outcomes.items())))
    bad = [outcome for outcome in outcomes if outcome == "no answer" or outcome.startswith("5")]
    problems = [f"{outcomes[outcome]} answers were {outcome}" for outcome in bad]
    problems += [f"left in TEMP_DIR: {', '.join(left)}"] if left else []
    problems += [f"{more} more processes than at the start"] if more > 1 else []  # one launcher starts with the first
    return problems


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="demo", help="a name of GET /models (%(default)s)")
    parser.add_argument("--model-dir", type=Path, help="WHISPER_MODEL_DIR")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--step", type=int, default=50, help="requests between readings")
    parser.add_argument("--clients", type=int, default=4, help="requests in flight")
    arguments = parser.parse_args()
    problems = run(arguments.model, arguments.model_dir, arguments.requests, arguments.step, arguments.clients)
    print("\n".join(problems) if problems else "Nothing was left behind.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
