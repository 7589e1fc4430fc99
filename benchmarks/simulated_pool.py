"""A pool in simulated time: the real choice and the real schedulers without sockets, whatever else the machine does.

Each client process knows of a runner what it would know over the wire: a state every WATCH_SECONDS, and the backlog
that comes with the news that a window is in the queue.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
from dataclasses import dataclass, field

from benchmarks.report import percentile
from benchmarks.simulated import SimulatedLoop
from runners.batching.queue import Item, batch_key
from runners.batching.scheduler import Batch, Scheduler
from runners.pool.backlog import Backlog
from runners.pool.choice import Candidate, choose
from runners.pool.messages import WATCH_SECONDS
from transcription.core.options import DecodeOptions, Priority, Ticket

MODEL = "demo"
KEY = batch_key(DecodeOptions(MODEL))
TRAVEL_SECONDS = 0.005  # one way, with the time to read the message
WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """batch_seconds: for a batch of any size up to `batch`. processes: APIs, among which the clients are divided."""

    runners: int = 4
    clients: int = 64
    batch: int = 4
    batch_seconds: float = 0.4
    processes: int = 2
    seconds: float = 60.0
    seed: int = 1


@dataclass(slots=True)
class Measured:
    """times: seconds of each window. windows, batches: that the runners decoded. rate: windows a second."""

    load: Load
    times: list[float] = field(default_factory=list)
    windows: int = 0
    batches: int = 0

    @property
    def rate(self) -> float:
        return len(self.times) / self.load.seconds

    @property
    def ideal(self) -> float:
        """Windows a second if every batch were full and followed the one before without a gap."""
        return self.load.runners * self.load.batch / self.load.batch_seconds

    @property
    def fill(self) -> float:
        """Mean share of a batch that is filled."""
        return self.windows / self.batches / self.load.batch

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return percentile(self.times, 0.99)


class _Runner:
    """One slot of a device that takes the same time for every batch."""

    def __init__(self, name: str, load: Load, measured: Measured) -> None:
        self.name = name
        self._load, self._measured = load, measured
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(slots=1, max_batch=load.batch, max_queue_seconds=1e9, cheap_batching=True)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._ids = itertools.count()

    def submit(self, ticket: Ticket) -> asyncio.Future[None]:
        item = Item(next(self._ids), ticket, KEY)
        self._scheduler.submit(item, self._loop.time())
        done = self._waiting[item.id] = self._loop.create_future()
        self._loop.call_soon(self._start)
        return done

    @property
    def backlog(self) -> tuple[float, float]:
        """Its seconds, and those of one more window."""
        return self._scheduler.backlog(Priority.INTERACTIVE), self._scheduler.window_seconds

    def _start(self) -> None:
        if batch := self._scheduler.next_batch(self._loop.time()):
            self._measured.windows += len(batch.items)
            self._measured.batches += 1
            self._loop.call_later(self._load.batch_seconds, self._end, batch)

    def _end(self, batch: Batch) -> None:
        self._scheduler.finished(batch, self._loop.time())
        for item in batch.items:
            self._waiting.pop(item.id).set_result(None)
        self._start()


class _Process:
    """A client of the pool, which follows every runner."""

    def __init__(self, runners: list[_Runner], draw: random.Random) -> None:
        self._known = {runner.name: (runner, Backlog()) for runner in runners}
        self._draw = draw

    async def follow(self, runner: _Runner) -> None:
        await asyncio.sleep(self._draw.uniform(0, WATCH_SECONDS))
        while True:
            said = runner.backlog
            await asyncio.sleep(TRAVEL_SECONDS)
            self._known[runner.name][1].heard(*said)
            await asyncio.sleep(WATCH_SECONDS)

    async def transcribe(self, ticket: Ticket) -> None:
        models = frozenset({MODEL})
        candidates = [Candidate(name, models, models, each.seconds) for name, (_, each) in self._known.items()]
        chosen = choose(candidates, MODEL, self._draw)
        assert chosen is not None
        runner, backlog = self._known[chosen.name]
        backlog.sent()
        await asyncio.sleep(TRAVEL_SECONDS)
        done = runner.submit(ticket)
        said = runner.backlog[0]
        await asyncio.sleep(TRAVEL_SECONDS)
        backlog.arrived(said)
        await done
        await asyncio.sleep(TRAVEL_SECONDS)


def simulate(load: Load) -> Measured:
    """The figures of clients that send one window after another."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(_run(load))


async def _run(load: Load) -> Measured:
    measured, numbers, loop = Measured(load), itertools.count(), asyncio.get_running_loop()
    runners = [_Runner(str(number), load, measured) for number in range(load.runners)]
    processes = [_Process(runners, random.Random(load.seed + number)) for number in range(load.processes)]
    following = [asyncio.create_task(each.follow(runner)) for each in processes for runner in runners]
    begin = loop.time() + WARM_UP_SECONDS

    async def client(process: _Process) -> None:
        while (started := loop.time()) < begin + load.seconds:
            await process.transcribe(Ticket(str(next(numbers))))
            if begin <= loop.time() < begin + load.seconds:
                measured.times.append(loop.time() - started)

    await asyncio.gather(*(client(processes[number % load.processes]) for number in range(load.clients)))
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    return measured
