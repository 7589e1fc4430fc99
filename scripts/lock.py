"""Resolve pyproject.toml, and what the tests of voice agents need, into lock files with hashes for every platform."""

from __future__ import annotations

import subprocess
import sys

PROJECT = "pyproject.toml"
VOICE_AGENTS = "tests/support/voice_agents/requirements"
COMMON = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",  # the lock files name packages, not the index of one machine
    "--no-annotate",
    "--custom-compile-command=make lock",
    "--quiet",
)


def compile_lock(source: str, output: str, *extra: str) -> None:
    """Write one lock file. source: names of packages. extra: options of uv, such as dependency groups."""
    command = [sys.executable, "-m", "uv", "pip", "compile", source, *COMMON, *extra, f"--output-file={output}"]
    subprocess.run(command, check=True)
    print(f"wrote {output}")


if __name__ == "__main__":
    compile_lock(PROJECT, "requirements.lock")
    # Constrained by the first, so that tests run with the versions that are deployed.
    compile_lock(PROJECT, "requirements-dev.lock", "--group=dev", "--constraint=requirements.lock")
    compile_lock(f"{VOICE_AGENTS}.in", f"{VOICE_AGENTS}.lock")
