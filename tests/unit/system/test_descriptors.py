"""The limit of descriptors is raised as far as the process may, and connections leave some of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from transcription.system.descriptors import connections_within

RAISE = """
import resource
from transcription.system.descriptors import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE), raise_descriptor_limit())
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    output = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["512"] * 4


@pytest.mark.parametrize(("descriptors", "connections"), [(64, 32), (1024, 768), (20_000, 19_744)])
def test_connections_leave_descriptors_for_the_rest(descriptors: int, connections: int) -> None:
    assert connections_within(descriptors) == connections
