"""Short ways to fill and empty a scheduler."""

from __future__ import annotations

from runners.batching.queue import Item, batch_key
from runners.batching.scheduler import Batch, Scheduler
from transcription.core.options import DecodeOptions, Priority, Ticket

INTERACTIVE, BACKGROUND = Priority.INTERACTIVE, Priority.BACKGROUND
BASE = DecodeOptions(model="base")
TINY = DecodeOptions(model="tiny")


def a_scheduler(
    slots: int = 1, max_batch: int = 1, max_queue_seconds: float = 300.0, *, cheap_batching: bool = True
) -> Scheduler:
    return Scheduler(
        slots=slots, max_batch=max_batch, max_queue_seconds=max_queue_seconds, cheap_batching=cheap_batching
    )


def an_item(
    number: int,
    request: str = "one",
    priority: Priority = INTERACTIVE,
    options: DecodeOptions = BASE,
    *,
    size: float = 1.0,
    alone: bool = False,
    caller: str = "",
) -> Item:
    return Item(number, Ticket(request, priority, caller=caller), batch_key(options), size, alone)


def start(scheduler: Scheduler, now: float = 0.0) -> Batch:
    batch = scheduler.next_batch(now)
    assert batch is not None
    return batch


def submit(scheduler: Scheduler, *items: Item, now: float = 0.0) -> None:
    for item in items:
        scheduler.submit(item, now)


def ids(batch: Batch | None) -> list[int]:
    return [] if batch is None else [item.id for item in batch.items]


def drain(scheduler: Scheduler, now: float = 0.0) -> list[int]:
    """Serve everything that waits, one batch after the other."""
    order: list[int] = []
    while batch := scheduler.next_batch(now):
        order.extend(ids(batch))
        scheduler.finished(batch, now)
    return order
