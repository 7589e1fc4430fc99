"""Programs that `make tools` installs."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.service import ROOT


def tool(name: str) -> str:
    """The path of a program. Skips the test where it is not installed."""
    path = shutil.which(name, path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if not path:
        pytest.skip(f"needs {name}: make tools installs it where there are Debian's packages")
    return path
