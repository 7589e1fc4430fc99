"""The arguments of the command as recordings: files, pipes, folders, patterns and URLs."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from transcription.cli.recordings import is_nameless
from transcription.media.intake.containers import ALL

SCHEMES = ("http://", "https://")
ENDINGS = frozenset(ending for container in ALL for ending in container.extensions)
WATCH = "watch"
LIVE = "live"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording to transcribe.

    path: its file; for a URL a path in the working folder with the name of its file, beside which its results go.
    """

    path: Path
    url: str = ""

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.url or str(self.path)

    @property
    def is_nameless(self) -> bool:
        """Whether it has no name of its own, so that its result is printed."""
        return not self.url and is_nameless(self.path)


@dataclass(frozen=True, slots=True)
class Found:
    """What arguments stand for.

    nothing: the reason of each argument that stands for no recording, for the user. unreadable: that of each folder in
    which there may be some.
    """

    recordings: list[Recording]
    nothing: dict[str, str]
    unreadable: dict[str, str]


class NoRecordings(Exception):
    """An argument stands for no recording. The message is shown to the user."""


def find_recordings(arguments: Iterable[str]) -> Found:
    """The recordings that the arguments stand for, those of a folder by name."""
    found = Found([], {}, {})

    def note(error: OSError) -> None:
        found.unreadable[str(error.filename)] = f"cannot be read: {error.strerror or error}"

    for argument in arguments:
        try:
            found.recordings.extend(_recordings_of(argument, note))
        except NoRecordings as error:
            found.nothing[argument] = str(error)
        except OSError as error:
            note(error)
    return found


def recordings_in(folder: Path, on_error: Callable[[OSError], None] | None = None) -> list[Path]:
    """The recordings in a folder and in the folders in it, by name; hidden ones and those in hidden folders are not.

    on_error: called for each folder that cannot be read.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=on_error):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root) / name for name in sorted(names) if not name.startswith("."))
        found += [path for path in paths if path.suffix.lower() in ENDINGS and not _is_special(path)]
    return found


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a device or a socket. Those in a folder are left out: reading one may never end."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False  # a link to nowhere: the user is told


def _recordings_of(argument: str, on_error: Callable[[OSError], None]) -> Iterator[Recording]:
    if argument.lower().startswith(SCHEMES):
        yield Recording(Path(_name_in(argument)), argument)
        return
    path = Path(argument)
    if path.is_dir():
        errors: list[OSError] = []
        found = recordings_in(path, errors.append)
        for each in errors:
            on_error(each)
        if not found and not errors:
            raise NoRecordings("the folder has no recordings, by the endings of their names")
        yield from map(Recording, found)
    elif glob.has_magic(argument) and not path.exists():
        matches = [Path(each) for each in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207  # may be absolute
        files = [each for each in matches if not each.is_dir()]
        if not files:
            raise NoRecordings("no file matches it")
        yield from map(Recording, files)
    else:
        yield Recording(path)


def _name_in(url: str) -> str:
    """The name of the file at a URL; that of its host if the path has none."""
    parts = urlsplit(url)
    name = PurePosixPath(unquote(parts.path)).name.replace("\0", "")
    return name or parts.hostname or "recording"
