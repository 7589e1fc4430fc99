"""Resolve pyproject.toml into requirements.lock and requirements-dev.lock, with hashes, for every platform."""

from __future__ import annotations

import subprocess
import sys

COMMON = (
    "pyproject.toml",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",  # the locks name packages, never where a machine gets them from
    "--no-annotate",
    "--custom-compile-command=make lock",
    "--quiet",
)


def compile_lock(output: str, *extra: str) -> None:
    """Write one lock file; `extra` selects dependency groups."""
    command = [sys.executable, "-m", "uv", "pip", "compile", *COMMON, *extra, f"--output-file={output}"]
    subprocess.run(command, check=True)
    print(f"wrote {output}")


if __name__ == "__main__":
    compile_lock("requirements.lock")
    # Built on top of the first, so that tests run on exactly what is served.
    compile_lock("requirements-dev.lock", "--group=dev", "--constraint=requirements.lock")
