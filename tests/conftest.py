"""For all tests: each has an id of its own, Hypothesis its profile, and pytest-xdist the order and what is a unit."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support.effort import load_profile
from transcription.system.garbage import collect_rarely, collect_while_serving

# One certificate, whose key was thrown away, for all authorities of the machine. Nothing here needs them, and to read
# them takes 45 ms of the CPU: for each client of httpx, and four times in each service that starts.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("data") / "no_authority.pem")

load_profile()
collect_rarely()  # until all tests are collected: eight thousand, and everything that they import


SHORT = "tests/unit/"  # no services: these files come last, and fill all workers to the end
TOGETHER = ("tests/browser", "tests/weights")  # one worker each, with one service for all files


class FilesTogether(LoadFileScheduling):
    """Gives each worker file after file, or the folder whose files share what is slow to start."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next((folder for folder in TOGETHER if nodeid.startswith(folder)), None)
        return folder or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesTogether:
    return FilesTogether(config, log)


def pytest_collection_finish() -> None:
    collect_while_serving()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests with one id pytest-xdist runs one, and says nothing. Schemathesis gives all routes the same."""
    items.sort(key=lambda item: item.nodeid.startswith(SHORT))
    for item in items:
        if item.parent and not item.nodeid.endswith(item.name):
            item._id = item.parent.id.child(item.name)
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"tests share an id, and only one of them would be run: {twice}")
