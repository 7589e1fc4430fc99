"""How many examples Hypothesis tries: few with every change, many at night and with `make fuzz`.

HYPOTHESIS_PROFILE: `quick` (the default) or `thorough`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

QUICK, THOROUGH = "quick", "thorough"
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", QUICK)


def load_profile() -> None:
    """For every property that does not say otherwise. No limit depends on the machine's speed."""
    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile(QUICK, max_examples=40, **patient)
    settings.register_profile(THOROUGH, max_examples=400, **patient)
    settings.load_profile(PROFILE)


def examples(quick: int, thorough: int) -> int:
    """For a property whose examples are costly or many."""
    return thorough if PROFILE == THOROUGH else quick
