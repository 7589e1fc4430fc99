"""Kill the service again and again while jobs run, and see that every accepted job completes once, with the same text.

`python -m tests.resilience.chaos` takes about ten minutes with the embedded model. It fails when a job is lost,
fails, appears twice, or has another text than in an undisturbed run. Some jobs cannot be read; they alone fail. The
disk is filled as well, if it can be a small one: as root.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from benchmarks.clips import SAMPLES, speech, write_clip
from benchmarks.report import table
from tests.resilience.bad_rows import UNREADABLE, put_in_sqlite
from tests.resilience.phoenix import DISK, TARGETS, WATCHDOG_SECONDS, Phoenix
from tests.support.small_disk import small_disk

LENGTHS = (3, 11, 29, 60, 120, 240)  # seconds
LONGER = 0.5  # seconds
DISK_BYTES = 256 << 20  # of the disk that is filled, where one can be mounted
PATIENCE = 1800.0  # seconds for everything to be done
REQUEST_TIMEOUT = 60.0
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done. pause: seconds between kills, drawn between the two. targets: what is killed, drawn, too.

    lengths: seconds, of the recordings in turn; each is a little longer than the one of its kind before.
    """

    jobs: int = 50
    kills: int = 30
    pause: tuple[float, float] = (2.0, 12.0)
    targets: tuple[str, ...] = TARGETS
    seed: int = 0
    lengths: tuple[int, ...] = LENGTHS


@dataclass(slots=True)
class Outcome:
    """What came of it. kills: how often each target was hit. attempts: of each job. seconds: of both runs.

    segments: all that were compared. sampled: those that could not be, since they come out different every time.
    """

    kills: Counter[str] = field(default_factory=Counter)
    attempts: list[int] = field(default_factory=list)
    segments: int = 0
    sampled: int = 0
    problems: list[str] = field(default_factory=list)
    quiet_seconds: float = 0.0
    seconds: float = 0.0


class Target(Protocol):
    """What is killed."""

    @property
    def url(self) -> str:
        """Where the next request goes."""
        ...

    def kill(self, target: str) -> None:
        """End what the name says; it comes back."""
        ...


def patiently(service: Target, method: str, path: str, **arguments: Any) -> httpx.Response:
    """An answer below 500, however often the service dies meanwhile; what a good client does. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.request(method, service.url + path, timeout=REQUEST_TIMEOUT, verify=False, **arguments)
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return answer
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"{method} {path}")


def submit_all(service: Target, recordings: Sequence[Path]) -> dict[str, str]:
    """Ids of the accepted jobs, by the recording's name."""
    jobs = {}
    for path in recordings:
        answer = patiently(
            service,
            "POST",
            "/transcribe",
            files={"file": (path.name, path.read_bytes())},
            data={"async": "true", "language": "en"},
            headers={"Idempotency-Key": path.name},
        )
        jobs[path.name] = str(answer.raise_for_status().json()["job_id"])
    return jobs


def wait_for(service: Target, jobs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """How each job ended, by the recording's name. Raises TimeoutError."""
    ended: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + PATIENCE
    while len(ended) < len(jobs):
        for name, job in jobs.items():
            if name in ended:
                continue
            state = patiently(service, "GET", f"/status/{job}").json()
            if state["status"] == "completed":
                verbose = {"response_format": "verbose_json"}
                state["result"] = patiently(service, "GET", f"/jobs/{job}/result", params=verbose).json()
            if state["status"] not in ("queued", "processing"):
                ended[name] = state
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(jobs) - len(ended)} jobs are not done after {PATIENCE:.0f} s")
        time.sleep(POLL_SECONDS)
    return ended


@contextlib.contextmanager
def killing(service: Target, plan: Plan, outcome: Outcome) -> Iterator[None]:
    """Inside, a process is killed every few seconds, until the plan's kills are used up."""
    stop = threading.Event()

    def kill() -> None:
        chance = random.Random(plan.seed)
        for _ in range(plan.kills):
            if stop.wait(chance.uniform(*plan.pause)):
                return
            target = chance.choice(plan.targets)
            service.kill(target)
            outcome.kills[target] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        stop.set()
        killer.join()


def make_recordings(count: int, lengths: Sequence[int], folder: Path) -> list[Path]:
    """Recordings of mixed length, no two alike."""
    folder.mkdir()
    source = speech(SAMPLES)  # what the embedded model knows
    candidates = (lengths[number % len(lengths)] + LONGER * (number // len(lengths)) for number in itertools.count())
    seen: dict[float, None] = {}
    while len(seen) < count:
        seen[next(candidates)] = None
    return [write_clip(source, seconds, folder).path for seconds in seen]


def run(plan: Plan, environment: Mapping[str, str], folder: Path) -> Outcome:
    """Both runs, the quiet and the disturbed one, and what differs. Raises TimeoutError, DidNotStart."""
    recordings = make_recordings(plan.jobs, plan.lengths, folder / "recordings")
    outcome = Outcome()
    (folder / "quiet").mkdir()
    with Phoenix({**environment, "JOBS_DIR": str(folder / "quiet" / "jobs")}, folder / "quiet") as service:
        started = time.monotonic()
        expected = wait_for(service, submit_all(service, recordings))
        outcome.quiet_seconds = time.monotonic() - started
    disk = folder / "disturbed" / "disk"
    disk.mkdir(parents=True)
    folders = {"JOBS_DIR": str(disk / "jobs"), "TEMP_DIR": str(disk / "uploads")}
    with small_disk(disk, DISK_BYTES) as limited, Phoenix({**environment, **folders}, disk.parent) as service:
        started = time.monotonic()
        bad = put_in_sqlite(disk / "jobs")
        possible = tuple(target for target in plan.targets if limited or target != DISK)
        with killing(service, replace(plan, targets=possible), outcome):
            jobs = submit_all(service, recordings)
            ended = wait_for(service, jobs)
        outcome.seconds = time.monotonic() - started
        judge(outcome, service, expected, ended, jobs, bad, disk.parent)
    return outcome


def judge(
    outcome: Outcome,
    service: Target,
    expected: Mapping[str, dict[str, Any]],
    ended: Mapping[str, dict[str, Any]],
    jobs: Mapping[str, str],
    bad: Sequence[str],
    logs: Path,
) -> None:
    """Add what the disturbed run did, and what it did wrong.

    bad: ids of jobs that cannot be read. logs: folder of what all processes printed.
    """
    known = patiently(service, "GET", "/jobs?limit=200").json()["jobs"]
    outcome.attempts = [state["attempts"] for state in ended.values()]
    outcome.problems = differences(expected, ended)
    results = [state["result"] for state in expected.values()]
    outcome.segments = sum(len(certain(result)) for result in results)
    outcome.sampled = sum(len(result["segments"]) for result in results) - outcome.segments
    if sorted(job["job_id"] for job in known) != sorted([*jobs.values(), *bad]):
        outcome.problems.append(f"{len(known)} jobs are stored, {len(jobs) + len(bad)} were accepted")
    reasons = {job: patiently(service, "GET", f"/status/{job}").json().get("error") for job in bad}
    outcome.problems += [f"{job} cannot be read: {why}" for job, why in reasons.items() if why != UNREADABLE]
    completions = count_completions(logs)
    outcome.problems += [f"{job} was completed {count} times" for job, count in completions.items() if count > 1]


def differences(expected: Mapping[str, dict[str, Any]], ended: Mapping[str, dict[str, Any]]) -> list[str]:
    """What is not as in the quiet run, a line a job."""
    problems = []
    for name, state in ended.items():
        if state["status"] != "completed":
            problems.append(f"{name}: {state['status']}, {state.get('error')}: {state.get('detail')}")
        elif certain(state["result"]) != certain(expected[name]["result"]):
            problems.append(f"{name}: another transcript")
    return problems


def certain(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The segments that come out the same whenever they are decoded: not those that were sampled, at a temperature."""
    return [segment for segment in result["segments"] if segment["temperature"] == 0]


def count_completions(folder: Path) -> Counter[str]:
    """How often each job is said to be completed in the logs."""
    lines = [line for log in folder.glob("*.log") for line in log.read_text(errors="replace").splitlines()]
    return Counter(line.split('"request_id": "')[1].split('"')[0] for line in lines if '"job_completed"' in line)


def report(outcome: Outcome) -> str:
    """Figures for docs/RELIABILITY.md."""
    attempts = Counter(outcome.attempts)
    rows = [
        ("jobs", str(len(outcome.attempts))),
        ("kills", ", ".join(f"{count} x {target}" for target, count in sorted(outcome.kills.items()))),
        ("attempts: jobs", ", ".join(f"{number}: {count}" for number, count in sorted(attempts.items()))),
        ("segments compared", str(outcome.segments)),
        ("segments sampled, not compared", str(outcome.sampled)),
        ("undisturbed", f"{outcome.quiet_seconds:.0f} s"),
        ("disturbed", f"{outcome.seconds:.0f} s"),
        ("problems", str(len(outcome.problems))),
    ]
    return table(("", "figure"), rows)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--model-dir", type=Path, default=None)
    parser.add_argument("--jobs", type=int, default=Plan().jobs)
    parser.add_argument("--kills", type=int, default=Plan().kills)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS, help="what is killed or stopped")
    parser.add_argument("--seed", type=int, default=Plan().seed)
    arguments = parser.parse_args()
    plan = Plan(arguments.jobs, arguments.kills, targets=tuple(arguments.targets), seed=arguments.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        outcome = run(plan, environment_for(arguments.model, arguments.model_dir, folder), folder)
    print(report(outcome))
    print("\n".join(outcome.problems))
    return 1 if outcome.problems else 0


def environment_for(model: str, model_dir: Path | None, folder: Path) -> dict[str, str]:
    """Settings of the service that is killed.

    JOB_RETRIES is far above its default: nothing else kills a runner every few seconds.
    """
    return {
        "WHISPER_MODEL": model,
        "WHISPER_MODEL_DIR": str(model_dir or folder / "models"),
        "TEMP_DIR": str(folder / "uploads"),
        "CACHE_DIR": str(folder / "cache"),
        "JOB_RETRIES": "100",
        "MIN_FREE_DISK": "1048576",
        "WATCHDOG_TIMEOUT": WATCHDOG_SECONDS,
    }


if __name__ == "__main__":
    sys.exit(main())
