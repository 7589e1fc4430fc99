"""Resolve pyproject.toml into requirements.lock and requirements-dev.lock, with hashes, for every platform."""

from __future__ import annotations

import subprocess
import sys

COMMON = (
    "pyproject.toml",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",  # the lock files name packages, not the index of one machine
    "--no-annotate",
    "--custom-compile-command=make lock",
    "--quiet",
)


def compile_lock(output: str, *extra: str) -> None:
    """Write one lock file. extra: options of uv, such as dependency groups."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *COMMON, *extra, f"--output-file={output}"]
    subprocess.run(command, check=True)
    print(f"wrote {output}")


if __name__ == "__main__":
    compile_lock("requirements.lock")
    # Constrained by the first, so that tests run with the versions that are deployed.
    compile_lock("requirements-dev.lock", "--group=dev", "--constraint=requirements.lock")
