#!/usr/bin/env python3
"""The `uv` of the container image while it is built: it leaves neither itself nor what no process of ours reads.

BentoML's container file puts uv into a layer of the image, and the packages that it installs into another one. What a
later layer deletes stays in the image, so it has to be deleted in the layer in which it came. As a command of the image
this program puts itself where uv is looked for; called as uv, it fetches uv, calls it, and cleans up. Beside it is the
lock file with the version of uv and its hashes.

Needs Python and pip alone, because nothing else is sure to be there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

PLACE = Path("/usr/local/bin/uv")
MODE = 0o755
LOCK = "uv.lock"
# Folders of site-packages, as patterns: tests, and tools that convert models.
UNUSED = (
    *("numpy/**/tests", "tornado/test"),
    *("onnxruntime/transformers", "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/datasets"),
)
# botocore describes every service of AWS. A bucket needs its own, and those that lend credentials.
SERVICES = "botocore/data"
USED_SERVICES = frozenset({"s3", "sts", "sso", "sso-oidc", "signin"})
DEBUGGED = "ctranslate2/_ext*.so"  # with 67 MB of debug information
APT = ("apt-get", "-qq", "--yes", "--no-install-recommends")
FORGET_APT = ("rm", "-rf", "/var/lib/apt/lists", "/var/cache/apt", "/var/log/apt", "/var/log/dpkg.log")


def main() -> int:
    """The exit status."""
    if Path(sys.argv[0]).name != PLACE.name:
        if not shutil.which(PLACE.name):
            shutil.copyfile(__file__, PLACE)
            shutil.copyfile(Path(__file__).with_name(LOCK), PLACE.with_name(LOCK))
            PLACE.chmod(MODE)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fetch(Path(__file__).with_name(LOCK), folder)
        status = subprocess.run([Path(folder, "bin", "uv"), *sys.argv[1:]], check=False).returncode
    if status == 0 and {"pip", "install"} <= set(sys.argv):
        for packages in Path(os.environ["VIRTUAL_ENV"]).glob("lib/python3.*/site-packages"):
            clean(packages)
    return status


def fetch(lock: Path, folder: str) -> None:
    """Install what a lock file has into a folder. Raises CalledProcessError, also if a hash differs."""
    python = next(Path(sys.base_prefix, "bin").glob("python3"))
    quiet = ("--quiet", "--disable-pip-version-check", "--no-cache-dir", "--root-user-action=ignore")
    what = ("--require-hashes", "--target", folder, "-r", str(lock))
    subprocess.run([python, "-m", "pip", "install", *quiet, *what], check=True)


def clean(packages: Path) -> None:
    """Delete what is not used from a folder site-packages."""
    for folder in unused(packages):
        if folder.exists():  # not in one that was deleted already
            shutil.rmtree(folder)
    strip(sorted(packages.glob(DEBUGGED)))


def unused(packages: Path) -> Iterator[Path]:
    """The folders that are not used."""
    for pattern in UNUSED:
        yield from sorted(packages.glob(pattern))
    for service in sorted((packages / SERVICES).glob("*/")):
        if service.name not in USED_SERVICES:
            yield service


def strip(libraries: Sequence[Path]) -> None:
    """Take debug information out of libraries with Debian's binutils, which do not stay.

    Without apt-get, or while no mirror of Debian answers, the libraries keep it: the image works as well.
    """
    if not shutil.which(APT[0]) or not libraries:
        return
    steps = ((*APT, "update"), (*APT, "install", "binutils"), ("strip", "--strip-debug", *map(str, libraries)))
    if any(subprocess.run(step, check=False).returncode for step in steps):
        sys.stderr.write("binutils could not be used. The image is 67 MB larger.\n")
    subprocess.run((*APT, "purge", "--auto-remove", "binutils"), check=False)
    subprocess.run(FORGET_APT, check=False)


if __name__ == "__main__":
    sys.exit(main())
