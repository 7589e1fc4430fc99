"""`python -m transcription.cli`."""

from __future__ import annotations

from transcription.cli.main import main

main()
