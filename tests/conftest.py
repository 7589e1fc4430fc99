"""For all tests: each has an id of its own, and Hypothesis its profile."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.effort import load_profile

load_profile()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests with one id pytest-xdist runs one, and says nothing. Schemathesis gives all routes the same."""
    for item in items:
        if item.parent and not item.nodeid.endswith(item.name):
            item._id = item.parent.id.child(item.name)
    twice = [name for name, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"tests share an id, and only one of them would be run: {twice}")
