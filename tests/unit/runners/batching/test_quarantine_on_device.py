"""The device keeps the journal of windows, and obeys the quarantine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runners.batching.delivery import Delivery
from runners.batching.quarantine import Journal, fingerprint
from tests.support.waiting import wait_until
from tests.unit.runners.batching.test_device import (
    TICKET,
    HeldModel,
    Log,
    a_device,
    a_task,
    decode_all,
    soon,
)
from transcription.core.errors import RefusedWindow


def test_the_journal_lists_exactly_the_windows_on_the_device(tmp_path: Path) -> None:
    async def scenario() -> str:
        tasks = await soon(device, model, 1, 2)
        written = next(tmp_path.glob("*.running")).read_text()
        model.may_go_on.set()
        await asyncio.gather(*tasks)
        return written

    model = HeldModel()
    with a_device(model, journal=Journal(tmp_path)) as device:
        written = asyncio.run(scenario())
        assert wait_until(lambda: next(tmp_path.glob("*.running")).read_text() == "[]")

    assert fingerprint(a_task(1)) in written
    assert fingerprint(a_task(2)) not in written


def test_a_window_that_crashed_two_processes_is_refused(tmp_path: Path) -> None:
    for _ in range(2):
        dead = tmp_path / "1.running"
        dead.write_text(f'["{fingerprint(a_task(1))}"]')
        journal = Journal(tmp_path)
    model = HeldModel()
    model.may_go_on.set()

    with a_device(model, journal=journal) as device:
        with pytest.raises(RefusedWindow, match="crashed"):
            asyncio.run(device.decode(a_task(1), TICKET))
        assert asyncio.run(device.decode(a_task(2), TICKET)).language == "2"


def test_a_death_that_is_in_the_journal_and_that_the_caller_has_seen_is_one(tmp_path: Path) -> None:
    (tmp_path / "1.running").write_text(f'["{fingerprint(a_task(2))}"]')

    model = HeldModel()
    model.may_go_on.set()

    with a_device(model, journal=Journal(tmp_path)) as device:
        assert asyncio.run(device.decode(a_task(2), TICKET, Delivery(deaths=1))).language == "2"
        with pytest.raises(RefusedWindow):
            asyncio.run(device.decode(a_task(2), TICKET, Delivery(deaths=2)))


def test_a_window_that_crashed_one_process_is_tried_again_alone(tmp_path: Path) -> None:
    (tmp_path / "1.running").write_text(f'["{fingerprint(a_task(2))}"]')
    log, model = Log(), HeldModel()

    with a_device(model, batch=4, log=log, journal=Journal(tmp_path)) as device:
        asyncio.run(decode_all(device, model, 1, 2, 3))

    assert log.formed == [1, 2, 1] or log.formed == [1, 1, 1, 1]
    assert sorted(model.decoded) == [0, 1, 2, 3]
