"""List the licences of the packages in requirements.lock: `python -m scripts.licences`.

Fails on a licence that has not been reviewed and on a package that names none.
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
# Permissive licences: they require that their notice is kept.
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
# Packages with other licences or unusual names for theirs, and why they may be distributed.
REVIEWED = {
    "av": "BSD; its wheels contain FFmpeg's libraries under the LGPL, linked dynamically",
    "certifi": "MPL 2.0: a file of certificates, distributed unchanged",
    "imageio-ffmpeg": "BSD; its wheels contain an ffmpeg program under the GPL, run as a separate process",
    "pathspec": "MPL 2.0: used unchanged",
    "tqdm": "MPL 2.0 and MIT: used unchanged",
}
MAX_NAME_CHARACTERS = 60  # longer fields contain a whole licence instead of its name


def locked_packages(lock: str) -> list[str]:
    """Names of the packages in a lock file whose markers apply to this machine."""
    lines = lock.replace("\\\n", " ").splitlines()
    requirements = [Requirement(line.split(" --hash")[0].strip()) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return [each.name for each in requirements if each.marker is None or each.marker.evaluate()]


def licence_of(package: metadata.PackageMetadata) -> str:
    """The licence that a package names, or "" if it names none."""
    if expression := package.get("License-Expression"):
        return expression
    classifiers = [each.removeprefix(CLASSIFIER) for each in package.get_all("Classifier") or () if CLASSIFIER in each]
    if classifiers:
        return ", ".join(classifiers)
    text = (package.get("License") or "").strip()
    return (
        text
        if len(text) <= MAX_NAME_CHARACTERS and text != "UNKNOWN"
        else text.splitlines()[0][:MAX_NAME_CHARACTERS]
        if text
        else ""
    )


def is_allowed(licence: str) -> bool:
    """Whether a licence expression can be satisfied with licences in ALLOWED only."""
    alternatives = re.split(r"\s+OR\s+", licence.strip("()"))
    return any(
        all(_is_known(part) for part in re.split(r"\s+AND\s+|,\s+", alternative))
        for alternative in alternatives
        if alternative
    )


def _is_known(part: str) -> bool:
    return any(re.search(rf"(?<![A-Za-z]){re.escape(name)}(?![a-z])", part) for name in ALLOWED)


def main() -> int:
    """Print the list; returns the exit code."""
    unknown = []
    for name in sorted(locked_packages(LOCK.read_text()), key=canonicalize_name):
        package = metadata.metadata(name)
        licence, reason = licence_of(package), REVIEWED.get(canonicalize_name(name), "")
        print(f"{name:45} {package['Version']:14} {licence or '?'}{f'  ({reason})' if reason else ''}")
        if not reason and not is_allowed(licence):
            unknown.append(f"{name}: {licence or 'none named'}")
    if unknown:
        print(
            "\nThese licences have not been reviewed. If they are acceptable, add the reason to REVIEWED:",
            *unknown,
            sep="\n  ",
        )
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
