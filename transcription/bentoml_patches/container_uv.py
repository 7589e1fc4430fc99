#!/usr/bin/env python3
"""The `uv` of the container image while it is built: it leaves neither itself nor what no process of ours reads.

BentoML's container file puts uv into a layer of the image, and the packages that it installs into another one. What a
later layer deletes stays in the image, so it has to be deleted in the layer in which it came. As a command of the image
this program puts itself where uv is looked for; called as uv, it fetches uv, calls it, and cleans up.

Needs Python and pip alone, because nothing else is there.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

PLACE = Path("/usr/local/bin/uv")
MODE = 0o755
# Folders of site-packages, as patterns: tests, and tools that convert models.
UNUSED = (
    *("numpy/**/tests", "tornado/test"),
    *("onnxruntime/transformers", "onnxruntime/quantization", "onnxruntime/tools", "onnxruntime/datasets"),
)
# botocore describes every service of AWS. A bucket needs its own, and those that lend credentials.
SERVICES = "botocore/data"
USED_SERVICES = frozenset({"s3", "sts", "sso", "sso-oidc", "signin"})
LEAST_GAIN = 1 << 20  # bytes; a library that would lose less stays as it is

ELF = b"\x7fELF\x02\x01"  # 64 bits, little-endian
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
LOAD = 1  # the type of a segment that is mapped into memory


@dataclass(frozen=True, slots=True)
class Segment:
    """An entry of the program headers: the only parts of a library that are read when it is loaded."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    alignment: int


def main() -> int:
    """The exit status."""
    if Path(sys.argv[0]).name != PLACE.name:
        if not shutil.which(PLACE.name):
            shutil.copyfile(__file__, PLACE)
            PLACE.chmod(MODE)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        python = next(Path(sys.base_prefix, "bin").glob("python3"))
        quiet = ("--quiet", "--disable-pip-version-check", "--no-cache-dir", "--root-user-action=ignore")
        subprocess.run([python, "-m", "pip", "install", *quiet, "--target", folder, "uv"], check=True)
        status = subprocess.run([Path(folder, "bin", "uv"), *sys.argv[1:]], check=False).returncode
    if status == 0 and {"pip", "install"} <= set(sys.argv):
        for packages in Path(os.environ["VIRTUAL_ENV"]).glob("lib/python3.*/site-packages"):
            clean(packages)
    return status


def clean(packages: Path) -> None:
    """Delete what is not used from a folder site-packages."""
    for folder in unused(packages):
        shutil.rmtree(folder)
    for library in sorted(packages.rglob("*.so*")):
        if library.is_file() and not library.is_symlink():
            content = library.read_bytes()
            loaded = as_loaded(content)
            if len(content) - len(loaded) >= LEAST_GAIN:
                library.write_bytes(loaded)


def unused(packages: Path) -> Iterator[Path]:
    """The folders that are not used."""
    for pattern in UNUSED:
        yield from sorted(packages.glob(pattern))
    for service in sorted((packages / SERVICES).glob("*/")):
        if service.name not in USED_SERVICES:
            yield service


def as_loaded(library: bytes) -> bytes:
    """A library without what is not mapped into memory, such as debug information; what is none stays as it is.

    The mapped segments move together. Nothing refers to their places in the file but the headers: code and data know
    addresses only, which stay. Sections go, because linkers and debuggers alone read them.
    """
    if not library.startswith(ELF):
        return library
    fields = list(HEADER.unpack_from(library))
    table, entry, count = fields[5], fields[9], fields[10]
    segments = [Segment(*SEGMENT.unpack_from(library, table + entry * number)) for number in range(count)]
    packed = bytearray()
    moves: list[tuple[Segment, int]] = []  # and by how much
    for segment in sorted((each for each in segments if each.kind == LOAD), key=lambda each: each.offset):
        if segment.size == 0:
            continue
        # The place in the file and the address agree modulo the alignment.
        place = len(packed) + (segment.offset - len(packed)) % max(segment.alignment, 1)
        packed.extend(bytes(place - len(packed)))
        packed += library[segment.offset : segment.offset + segment.size]
        moves.append((segment, place - segment.offset))

    def moved(offset: int) -> int:
        return offset + next((by for load, by in moves if load.offset <= offset < load.offset + load.size), 0)

    if not any(load.offset <= table < load.offset + load.size for load, _ in moves):
        return library
    fields[5], fields[6], fields[12], fields[13] = moved(table), 0, 0, 0  # no sections
    HEADER.pack_into(packed, 0, *fields)
    for number, segment in enumerate(segments):
        new = replace(segment, offset=moved(segment.offset)) if segment.size else segment
        values = (new.kind, new.flags, new.offset, new.address, new.physical, new.size, new.memory, new.alignment)
        SEGMENT.pack_into(packed, fields[5] + entry * number, *values)
    return bytes(packed)


if __name__ == "__main__":
    sys.exit(main())
