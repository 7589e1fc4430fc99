"""Kill API replicas, workers and Redis while jobs run, and see that every accepted job completes once, with one text.

`python -m tests.resilience.chaos_cluster` takes about five minutes with the embedded model: two API replicas, three
Celery workers, and a Redis that writes down every command (`appendfsync always`). It fails as `tests.resilience.chaos`
does.
"""

from __future__ import annotations

import argparse
import itertools
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from runners.batching.quarantine import JOURNAL
from tests.resilience.bad_rows import put_in_redis
from tests.resilience.chaos import Outcome, Plan, judge, killing, make_recordings, report, submit_all, wait_for
from tests.support.cluster import Cluster, Member, local_cluster

APIS, WORKERS = 2, 3
TARGETS = ("api", "worker", "frozen worker", "redis")
WATCHDOG_SECONDS = 3  # WATCHDOG_TIMEOUT
END_SECONDS = 60.0  # until the watchdog has killed a worker that stands still; the limit of a failure
DEAD_SECONDS = (0.0, 3.0)  # how long a member stays away


class Prey:
    """A cluster whose members are killed. Every request goes to the next replica, as from behind a load balancer."""

    def __init__(self, cluster: Cluster, cache: Path, seed: int) -> None:
        self._cluster = cluster
        self._cache = cache
        self._chance = random.Random(seed)
        self._urls = itertools.cycle(cluster.urls)

    @property
    def url(self) -> str:
        """Where the next request goes, whether that replica is up or not."""
        return next(self._urls)

    def kill(self, target: str) -> None:
        """SIGKILL for one member and its children; it comes back after a while, without being waited for.

        A worker that freezes is sent SIGSTOP, and killed by its watchdog.
        """
        workers = self._cluster.workers
        members = {"api": self._cluster.apis, "redis": [self._cluster.redis]}
        member: Member = self._chance.choice(members.get(target, workers))
        if target == "frozen worker" and member.process:
            member.process.send_signal(signal.SIGSTOP)
            member.process.wait(END_SECONDS)
        member.kill()
        # Here no recording has killed the worker that had it.
        for entry in (self._cache / JOURNAL).glob("*"):
            entry.unlink(missing_ok=True)
        time.sleep(self._chance.uniform(*DEAD_SECONDS))
        member.start(wait=False)


def run(plan: Plan, folder: Path, quiet_members: tuple[int, int] = (APIS, WORKERS)) -> Outcome:
    """Both runs, the quiet and the disturbed one, and what differs. Raises TimeoutError, DidNotStart.

    quiet_members: API replicas and workers of the quiet run. Its transcripts do not depend on them, its time does.
    """
    apis, workers = quiet_members
    recordings = make_recordings(plan.jobs, plan.lengths, folder / "recordings")
    outcome = Outcome()
    for name in ("quiet", "disturbed"):
        (folder / name).mkdir()
    with local_cluster(folder / "quiet", environment(), apis=apis, workers=workers) as cluster:
        quiet = Prey(cluster, folder / "quiet" / "cache", plan.seed)
        started = time.monotonic()
        expected = wait_for(quiet, submit_all(quiet, recordings))
        outcome.quiet_seconds = time.monotonic() - started
    with local_cluster(folder / "disturbed", environment(), apis=APIS, workers=WORKERS) as cluster:
        disturbed = Prey(cluster, folder / "disturbed" / "cache", plan.seed)
        started = time.monotonic()
        bad = put_in_redis(cluster.redis_url)
        with killing(disturbed, plan, outcome):
            jobs = submit_all(disturbed, recordings)
            ended = wait_for(disturbed, jobs)
        outcome.seconds = time.monotonic() - started
        judge(outcome, disturbed, expected, ended, jobs, bad, folder / "disturbed")
    return outcome


def environment() -> dict[str, str]:
    """Settings of the cluster that is killed. JOB_RETRIES is high: nothing else kills a worker every few seconds."""
    return {
        "WHISPER_MODEL": "demo",
        "JOB_RETRIES": "100",
        "JOB_CONCURRENCY": "2",
        "WATCHDOG_TIMEOUT": str(WATCHDOG_SECONDS),
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=Plan().jobs)
    parser.add_argument("--kills", type=int, default=Plan().kills)
    parser.add_argument("--seed", type=int, default=Plan().seed)
    arguments = parser.parse_args()
    plan = Plan(arguments.jobs, arguments.kills, targets=TARGETS, seed=arguments.seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        outcome = run(plan, Path(name))
    print(report(outcome))
    print("\n".join(outcome.problems))
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
