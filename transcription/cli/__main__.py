"""The program `transcribe`, which is also `python -m transcription.cli`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn

ENDED_BY_SIGNAL = (130, 143, 129)  # 128 + the signal: Ctrl-C, SIGTERM, a terminal that was closed


def start() -> None:
    """Run the command. Ctrl-C ends it quietly also in the second that its imports take."""
    try:
        from transcription.cli.main import PROGRAM, main

        main(prog_name=PROGRAM)  # also if Python runs this module
    except KeyboardInterrupt:
        sys.exit(ENDED_BY_SIGNAL[0])
    except SystemExit as end:
        if end.code in ENDED_BY_SIGNAL:
            end_at_once(int(end.code))
        raise


def end_at_once(status: int) -> NoReturn:
    """End this process while its threads decode: a window takes a large model half a minute, and cannot be stopped.

    An ordinary end waits for them, or aborts the process if they do not come.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or a reader that has gone, or none at all
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    start()
