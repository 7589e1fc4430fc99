"""Recordings in, transcripts out: everything but the models, the formats and the two services themselves."""

import os

# Before any module imports onnxruntime. Otherwise it sends usage data to Microsoft, keeps an identifier of this machine
# in the user's cache, and leaves a file in the temporary folder. What the operator has set is kept.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "1.0.0"
