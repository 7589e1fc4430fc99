"""List the licences of everything that is served, from requirements.lock: `python -m scripts.licences`.

Fails on a licence that nobody has looked at, and on a package that does not say.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
CLASSIFIER = "License :: OSI Approved :: "
# They ask for their notice to be kept, and for nothing of ours.
ALLOWED = (
    "MIT",
    "BSD",
    "Apache",
    "ISC",
    "PSF",
    "Python Software Foundation",
    "Zlib",
    "Unlicense",
    "CC0",
    "0BSD",
    "HPND",
)
# Why these may be served although their licence asks for more, or is written in a way of its own.
REVIEWED = {
    "av": "BSD; its wheels carry FFmpeg's libraries under the LGPL, linked dynamically",
    "certifi": "MPL 2.0: a file of certificates, served as it is",
    "imageio-ffmpeg": "BSD; its wheels carry an ffmpeg program under the GPL, run as a process of its own",
    "pathspec": "MPL 2.0: used as it is",
    "tqdm": "MPL 2.0 and MIT: used as it is",
}
TOO_LONG = 60  # characters: a whole licence in the place of its name


def locked_packages(lock: str) -> list[str]:
    """Names of the packages that are installed on this machine, by the markers of a lock file."""
    lines = lock.replace("\\\n", " ").splitlines()
    requirements = [Requirement(line.split(" --hash")[0].strip()) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return [each.name for each in requirements if each.marker is None or each.marker.evaluate()]


def licence_of(package: metadata.PackageMetadata) -> str:
    """What a package says of its licence, "" for nothing."""
    if expression := package.get("License-Expression"):
        return expression
    classifiers = [each.removeprefix(CLASSIFIER) for each in package.get_all("Classifier") or () if CLASSIFIER in each]
    if classifiers:
        return ", ".join(classifiers)
    text = (package.get("License") or "").strip()
    return text if len(text) <= TOO_LONG and text != "UNKNOWN" else text.splitlines()[0][:TOO_LONG] if text else ""


def is_allowed(licence: str) -> bool:
    """Whether every part of an expression is a licence on our list, or one of alternatives is."""
    alternatives = re.split(r"\s+OR\s+", licence.strip("()"))
    return any(
        all(_is_known(part) for part in re.split(r"\s+AND\s+|,\s+", alternative))
        for alternative in alternatives
        if alternative
    )


def _is_known(part: str) -> bool:
    return any(re.search(rf"(?<![A-Za-z]){re.escape(name)}(?![a-z])", part) for name in ALLOWED)


def main() -> int:
    """Returns the exit code."""
    unknown = []
    for name in sorted(locked_packages(LOCK.read_text()), key=canonicalize_name):
        package = metadata.metadata(name)
        licence, reason = licence_of(package), REVIEWED.get(canonicalize_name(name), "")
        print(f"{name:45} {package['Version']:14} {licence or '?'}{f'  ({reason})' if reason else ''}")
        if not reason and not is_allowed(licence):
            unknown.append(f"{name}: {licence or 'says nothing'}")
    if unknown:
        print("\nNobody has looked at these licences; if they will do, say why in REVIEWED:", *unknown, sep="\n  ")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
