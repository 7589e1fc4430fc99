"""Windows in, window results out: the model's process, its scheduler and its engine."""

import os

from transcription.system.openmp import WAIT_PASSIVELY

# Before any module imports CTranslate2. What the operator has set is kept.
for name, value in WAIT_PASSIVELY.items():
    os.environ.setdefault(name, value)
