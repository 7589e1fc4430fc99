"""The program `transcribe`, which is also `python -m transcription.cli`."""

from __future__ import annotations

import sys


def start() -> None:
    """Run the command. Ctrl-C ends it quietly also in the second that its imports take."""
    try:
        from transcription.cli.main import main

        main()
    except KeyboardInterrupt:
        sys.exit(130)  # INTERRUPTED, which may not be imported yet


if __name__ == "__main__":
    start()
