"""Disturb every part of a cluster with a pool of runners, while jobs and synchronous requests run.

`python -m tests.resilience.chaos_pool` runs for five minutes: two API replicas, two Celery workers without a model,
three runners whose device is a pause and whose text is a digest of the samples, and a Redis with two replicas and three
Sentinels. Each runner and each Redis has a network namespace of its own, whose cable is pulled, where that is allowed;
or only the way between the primary and its replicas and Sentinels is cut, so that another one is elected while the API
and the workers still reach it. A runner that
states another version of the wire stands for an update that is half done. It fails when a job is lost, fails or is done
twice, when a text differs from that before the disturbances, when a synchronous request fails in another way than with
503 and Retry-After, when 1 % or more are refused while one runner is missing, or when a live session ends otherwise
than with its text, with its API replica, or with an error that asks to try again.
Requests to an API replica that was killed are sent again, as behind a load balancer.
"""

from __future__ import annotations

import argparse
import itertools
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from benchmarks.report import table
from runners.pool.messages import WIRE_VERSION
from tests.resilience.chaos import count_completions, make_recordings
from tests.resilience.pool_traffic import PATIENCE, Outcome, Traffic
from tests.support.cluster import api_member, worker_member
from tests.support.network import machines, missing
from tests.support.pool import TOKEN, RunnerProcesses, runner_processes
from tests.support.sentinels import Guarded, guarded_redis
from tests.support.service import folders, free_port
from tests.support.waiting import wait_until

APIS, WORKERS, RUNNERS = 2, 2, 3
REPLICAS = 2  # of Redis: after a failover one is left that confirms
CONFIRMED = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "3")
CUT, PRIMARY_CUT, SPLIT = "network cut", "primary cut", "split"
CUTS = (CUT, PRIMARY_CUT, SPLIT)
TARGETS = (
    *("runner killed", "runner stopped", "runner drained", "API killed", "worker killed", "failover", "update"),
    *("other version", *CUTS),
)
ONE_RUNNER = frozenset(("runner killed", "runner stopped", "runner drained", "other version", CUT))  # the others work
LENGTHS = (3, 11, 29, 60)  # seconds
SYNCHRONOUS = 4  # clients
JOBS_AT_ONCE = 8
LIVE = 2
PAUSE = (2.0, 8.0)  # seconds between two disturbances
MIXED_SECONDS = 10.0  # of two versions of the wire
GONE_SECONDS = 15.0  # of a runner; longer than the silence after which it is given up
BATCH_SECONDS = 0.3


class Parts:
    """The running members. urls: of the API replicas."""

    def __init__(self, folder: Path, guarded: Guarded, runners: RunnerProcesses) -> None:
        self.guarded, self.runners = guarded, runners
        settings = {
            **folders(folder),
            "HOST": "127.0.0.1",
            "WHISPER_MODEL": "demo",
            "JOB_BACKEND": "celery",
            "REDIS_URL": guarded.url,
            "RUNNER_URL": runners.url,
            "RUNNER_TOKEN": TOKEN,
            "ENABLE_RATE_LIMIT": "false",
            "JOB_RETRIES": "100",
            "BENTOML_DO_NOT_TRACK": "True",
        }
        ports = [free_port() for _ in range(APIS)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.apis = [api_member(f"api-{port}", folder, settings, port) for port in ports]
        self.workers = [worker_member(f"worker-{number}", folder, settings, free_port()) for number in range(WORKERS)]

    def disturb(self, target: str, chance: random.Random) -> None:
        """Do what the name says, and wait until the member is back. Raises TimeoutError, DidNotStart."""
        number = chance.randrange(RUNNERS)
        process = self.runners.processes[number]
        if target == "runner killed":
            process.kill()
            self._start_again(number)
        elif target == "runner stopped":
            process.send_signal(signal.SIGSTOP)
            time.sleep(GONE_SECONDS)
            process.send_signal(signal.SIGCONT)
        elif target == CUT:
            self.runners.machines[number].cut()
            time.sleep(GONE_SECONDS)
            self.runners.machines[number].mend()
        elif target == "runner drained":
            self._drain(number)
        elif target == "failover":
            self._fail_over()
        elif target in (PRIMARY_CUT, SPLIT):
            self._cut_primary(split=target == SPLIT)
        elif target == "update":
            self._update()
        elif target == "other version":
            self._take_part_of_an_update(number)
        else:
            member = chance.choice(self.apis if target == "API killed" else self.workers)
            member.kill()
            member.start()

    def _drain(self, number: int, *options: str) -> None:
        process = self.runners.processes[number]
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise TimeoutError("a runner does not end after SIGTERM") from None
        self._start_again(number, *options)

    def _start_again(self, number: int, *options: str) -> None:
        self.runners.restart(number, *options)
        if not wait_until(lambda: _answers(self.runners.urls[number]), PATIENCE):
            raise TimeoutError("a runner does not start again")

    def _take_part_of_an_update(self, number: int) -> None:
        """For a while one runner speaks another version of the wire than the clients, which must not ask it."""
        self._drain(number, "--wire", str(WIRE_VERSION + 1))
        time.sleep(MIXED_SECONDS)
        asked = httpx.get(f"{self.runners.urls[number]}/metrics").json()["windows"]
        self._drain(number)
        if asked:
            raise TimeoutError(f"a runner of another version was asked {asked} times")

    def _update(self) -> None:
        """Everything is replaced, one after another: a rolling update."""
        for number in range(RUNNERS):
            self._drain(number)
        for member in (*self.workers, *self.apis):
            member.stop()
            member.start()

    def _fail_over(self) -> None:
        """Kill the primary, wait for another one, and start the old one again as its replica."""
        before = self.guarded.primary
        self.guarded.servers[before].kill()
        self._wait_for_another(before)
        self.guarded.servers[before].start()
        self._wait_for_replicas()

    def _cut_primary(self, *, split: bool) -> None:
        """Cut the primary off from everything; in a split only from its replicas and the Sentinels.

        Then the API and the workers reach two primaries for a while.
        """
        before = self.guarded.primary
        own = self.guarded.machines[before]
        others = [machine for machine in self.guarded.machines if machine is not own]
        if split:
            for other in others:
                own.cut_from(other)
        else:
            own.cut()
        self._wait_for_another(before)
        time.sleep(GONE_SECONDS)
        if split:
            for other in others:
                own.mend_with(other)
        else:
            own.mend()
        self._wait_for_replicas()

    def _wait_for_another(self, before: int) -> None:
        if not wait_until(lambda: self.guarded.primary != before, PATIENCE):
            raise TimeoutError("the Sentinels elect no primary")

    def _wait_for_replicas(self) -> None:
        if not wait_until(self.guarded.is_complete, PATIENCE):
            raise TimeoutError("the old primary does not become a replica")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/metrics").is_success
    except httpx.TransportError:
        return False


@contextmanager
def running(folder: Path) -> Iterator[Parts]:
    """Everything, started. Raises DidNotStart."""
    (folder / "redis").mkdir()
    with ExitStack() as stack:
        far = [] if missing() else stack.enter_context(machines(RUNNERS + 1 + REPLICAS + 1))
        far, of_redis = far[:RUNNERS], far[RUNNERS:]
        guarded = stack.enter_context(guarded_redis(folder / "redis", *CONFIRMED, replicas=REPLICAS, machines=of_redis))
        options = (folder / "runners", RUNNERS, "--seconds", str(BATCH_SECONDS))
        parts = Parts(folder, guarded, stack.enter_context(runner_processes(*options, machines=far)))
        for member in (*parts.apis, *parts.workers):
            stack.callback(member.kill)
            member.start(wait=False)
        for member in (*parts.apis, *parts.workers):
            member.wait_until_up()
        yield parts


def run(seconds: float, seed: int, folder: Path, targets: Sequence[str] = TARGETS) -> Outcome:
    """Disturb for so long, then let all work end. Raises TimeoutError, DidNotStart."""
    outcome, chance = Outcome(), random.Random(seed)
    recordings = make_recordings(len(LENGTHS), LENGTHS, folder / "recordings")
    with running(folder) as parts, ThreadPoolExecutor(SYNCHRONOUS + JOBS_AT_ONCE + LIVE) as clients:
        traffic = Traffic(parts.urls, recordings, outcome)
        traffic.learn()
        work = [clients.submit(traffic.synchronous) for _ in range(SYNCHRONOUS)]
        work += [clients.submit(traffic.jobs) for _ in range(JOBS_AT_ONCE)]
        work += [clients.submit(traffic.live) for _ in range(LIVE)]
        end = time.monotonic() + seconds
        rounds = itertools.chain.from_iterable(chance.sample(targets, len(targets)) for _ in itertools.count())
        try:
            while time.monotonic() < end:
                time.sleep(chance.uniform(*PAUSE))
                target = next(rounds)
                outcome.runner_missing = target in ONE_RUNNER
                parts.disturb(target, chance)
                outcome.runner_missing = False
                outcome.disturbances[target] += 1
        finally:
            traffic.stop.set()
        for each in work:
            each.result()
        stored = set(_all_jobs(parts.urls[0]))
    if len(stored) != outcome.jobs:
        outcome.problems.append(f"{len(stored)} jobs are stored, {outcome.jobs} were accepted")
    if ONE_RUNNER & outcome.disturbances.keys() and outcome.too_many_refusals:
        outcome.problems.append(outcome.too_many_refusals)
    twice = [job for job, count in count_completions(folder).items() if count > 1]
    outcome.problems += [f"{job} was completed more than once" for job in twice]
    return outcome


def _all_jobs(url: str) -> Iterator[str]:
    cursor = ""
    while True:
        page = httpx.get(f"{url}/jobs", params={"limit": 200, **({"cursor": cursor} if cursor else {})}).json()
        yield from (job["job_id"] for job in page["jobs"])
        if not (cursor := page.get("next_cursor") or ""):
            return


def report(outcome: Outcome) -> str:
    """Figures for docs/RELIABILITY.md."""
    rows = [
        ("disturbances", ", ".join(f"{count} x {name}" for name, count in sorted(outcome.disturbances.items()))),
        ("synchronous answers", ", ".join(f"{count} x {kind}" for kind, count in sorted(outcome.synchronous.items()))),
        (
            "of them while one runner was missing",
            ", ".join(f"{count} x {status}" for status, count in sorted(outcome.without_a_runner.items())),
        ),
        ("jobs", str(outcome.jobs)),
        ("attempts: jobs", ", ".join(f"{number}: {count}" for number, count in sorted(outcome.attempts.items()))),
        ("live sessions", ", ".join(f"{count} x {kind}" for kind, count in sorted(outcome.live.items()))),
        ("requests sent again, their API replica being gone", str(outcome.resent)),
        ("problems", str(len(outcome.problems))),
    ]
    return table(("", "figure"), rows)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    arguments = parser.parse_args()
    if missing():
        arguments.targets = [target for target in arguments.targets if target not in CUTS]
        if not arguments.targets:
            parser.error(missing())
        print(f"No network is cut: {missing()}.")
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        outcome = run(arguments.seconds, arguments.seed, Path(name), arguments.targets)
    print(report(outcome))
    print("\n".join(outcome.problems))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
