"""`python -m command`."""

from __future__ import annotations

from transcription.cli.main import main

main()
