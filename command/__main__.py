"""`python -m command`."""

from __future__ import annotations

from command.main import main

main()
