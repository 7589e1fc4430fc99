"""What a process that reads a client's file can reach: that file, and the code of the decoder. No network, no process.

Two means of the kernel, which need no root. Each is used where the kernel has it; then a process that cannot apply it
does not go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from transcription.media.sandbox import landlock, seccomp

# What a program that is linked dynamically needs before its first line runs.
LIBRARIES = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")))
NOTHING = Path("/dev/null")  # is read in place of input


@dataclass(frozen=True, slots=True)
class Means:
    """What this kernel offers. landlock: version of the interface, 0 for none."""

    seccomp: bool
    landlock: int

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.seccomp and self.landlock > 0


@cache
def available() -> Means:
    """Found out once; asking changes nothing."""
    return Means(seccomp.is_available(), landlock.version())


def enter(means: Means, file: Path, program: Path | None) -> None:
    """Give up everything but reading `file` and, unless it is None, becoming `program`.

    To be called after `transcription.media.sandbox.confine.confine`, which gives up privileges; both means ask for
    that.
    Raises OSError; then the process must not go on.
    """
    if means.landlock:
        executable = (program, program.parent.parent / "lib", *LIBRARIES) if program else ()
        landlock.restrict(means.landlock, (file, NOTHING), executable)
    if means.seccomp:
        seccomp.deny(execute=program is not None)
