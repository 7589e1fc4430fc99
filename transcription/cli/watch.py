"""`transcribe watch FOLDER`: transcribes what is put into a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import watch

from formats.registry import ResponseFormat
from transcription.cli.inputs import Recording, recordings_in
from transcription.cli.names import result_files
from transcription.cli.screen import Screen
from transcription.cli.session import Session, Work
from transcription.cli.transcriber import RecordingFailed, ServerUnavailable

# Between two looks at a folder in which nothing is reported to happen: not all network shares report changes.
LOOK_SECONDS = 5.0
QUICK_SECONDS = 0.2  # while a file settles; at most
RETRY_SECONDS = 15.0  # after a server could not be reached


@dataclass(frozen=True, slots=True)
class State:
    """What a file looks like from outside. A file whose state changes is being written. changed: in nanoseconds."""

    size: int
    changed: int


@dataclass(slots=True)
class Progress:
    """What has become of the files of a folder.

    settle: seconds that a file must stay as it is to be complete. seen: the state of each file, and since when.
    finished: the state in which a file was transcribed, or failed; it is not tried again as long as it has this state.
    """

    settle: float
    seen: dict[Path, tuple[State, float]] = field(default_factory=dict)
    finished: dict[Path, State] = field(default_factory=dict)

    def observe(self, states: Mapping[Path, State], now: float) -> None:
        """Note the files that are there. now: a clock that never goes back, seconds."""
        before = self.seen
        self.seen = {
            path: before[path] if path in before and before[path][0] == state else (state, now)
            for path, state in states.items()
        }
        self.finished = {path: state for path, state in self.finished.items() if path in states}

    def due(self, now: float) -> list[Path]:
        """The files that are complete and not finished."""
        return [path for path, (_, since) in self._open() if now - since >= self.settle]

    def is_settling(self) -> bool:
        """Whether a file is waited for."""
        return bool(self._open())

    def finish(self, path: Path) -> None:
        """The file was transcribed, or cannot be."""
        self.finished[path] = self.seen[path][0]

    def _open(self) -> list[tuple[Path, tuple[State, float]]]:
        return [(path, seen) for path, seen in self.seen.items() if self.finished.get(path) != seen[0]]


class FolderWatch:
    """Transcribes the recordings in a folder, one at a time, and those that come.

    output: the folder of the results, None for that of each recording. overwrite: transcribe those with results, too.
    """

    def __init__(
        self,
        folder: Path,
        output: Path | None,
        formats: Sequence[ResponseFormat],
        session: Session,
        screen: Screen,
        *,
        settle: float,
        overwrite: bool,
    ) -> None:
        self._folder = folder
        self._output = output
        self._formats = formats
        self._session = session
        self._screen = screen
        self._overwrite = overwrite
        self._progress = Progress(settle)

    def run(self, *, once: bool) -> int:
        """Work until nothing is left to do, or until interrupted. Returns the number of recordings that failed.

        Raises ServerUnavailable only if `once`; otherwise the server is tried again.
        """
        failures = 0
        for _ in self._looks():
            self._progress.observe(_states(recordings_in(self._folder)), time.monotonic())
            for path in self._progress.due(time.monotonic()):
                try:
                    self._transcribe(path)
                except RecordingFailed as error:
                    failures += 1
                    self._screen.complain(str(path), error)
                except ServerUnavailable as error:
                    if once:
                        raise
                    self._screen.complain(str(path), f"{error} It will be tried again.")
                    time.sleep(RETRY_SECONDS)
                    break
                self._progress.finish(path)
            if once and not self._progress.is_settling():
                break
        return failures

    def _transcribe(self, path: Path) -> None:
        """Transcribe a recording into the files that it lacks. Raises RecordingFailed, ServerUnavailable."""
        # All names are chosen together, so that two recordings never share one.
        targets = result_files(list(self._progress.seen), self._output, self._formats)[path]
        missing = {each: file for each, file in targets.items() if self._overwrite or not file.exists()}
        if not missing:
            return
        work = Work(Recording(path), tuple(missing), missing)
        self._session.check(work)
        self._session.transcribe(work)

    def _looks(self) -> Iterator[None]:
        """Comes when something happens in the folder, and from time to time without."""
        while True:
            yield
            settling = self._progress.is_settling()
            seconds = min(QUICK_SECONDS, self._progress.settle) if settling else LOOK_SECONDS
            wait_for_change(self._folder, max(seconds, 0.01))


def wait_for_change(folder: Path, seconds: float) -> None:
    """Wait until something in a folder changes, or for this long."""
    milliseconds = max(1, round(seconds * 1000))
    changes = watch(
        folder, rust_timeout=milliseconds, yield_on_timeout=True, debounce=milliseconds, step=10, raise_interrupt=True
    )
    next(changes, None)


def _states(paths: Sequence[Path]) -> dict[Path, State]:
    """The state of each file that is there."""
    states: dict[Path, State] = {}
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            continue  # gone, or a link to nowhere
        states[path] = State(status.st_size, status.st_mtime_ns)
    return states
