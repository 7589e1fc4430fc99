"""Restricts a process that reads a client's file to that file and the decoder's code: no network, no other process.

It uses seccomp and Landlock, which need no root, if the kernel has them. A process that cannot apply one of them that
the kernel has must not continue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from transcription.media.sandbox import landlock, seccomp

# Paths that the dynamic linker needs to start a program.
LIBRARIES = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")))
NOTHING = Path("/dev/null")  # serves as standard input


@dataclass(frozen=True, slots=True)
class Support:
    """The sandboxing features of a kernel. landlock: ABI version, 0 for none."""

    seccomp: bool
    landlock: int

    @property
    def complete(self) -> bool:
        """Whether the kernel has both."""
        return self.seccomp and self.landlock > 0


@cache
def available() -> Support:
    """The features of this kernel, determined once and without side effects."""
    return Support(seccomp.is_available(), landlock.version())


def enter(support: Support, file: Path | None, program: Path | None) -> None:
    """Irrevocably drop all access except reading `file` and, unless it is None, executing `program`.

    file: None if it is open already and need not be opened by its path, like a pipe.

    Call after `transcription.media.sandbox.confine.confine`: seccomp and Landlock require that privileges are dropped.
    Raises OSError; the process must then not continue.
    """
    if support.landlock:
        executable = (program, program.parent.parent / "lib", *LIBRARIES) if program else ()
        landlock.restrict(support.landlock, (file, NOTHING) if file else (NOTHING,), executable)
    if support.seccomp:
        seccomp.deny(execute=program is not None)
