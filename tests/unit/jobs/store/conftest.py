"""The clock of a store under test."""

from __future__ import annotations

import pytest

from tests.unit.jobs.store.support import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
