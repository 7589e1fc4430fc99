"""A device without memory for a batch."""

from __future__ import annotations

from runners.batching.scheduler import HALVED_SECONDS
from transcription.core.errors import ServiceUnavailable

# What CTranslate2, torch and cuBLAS say; none of them has an exception of its own for it.
OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device or the machine ran out of memory."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY)


def no_memory(error: Exception) -> ServiceUnavailable:
    """The error for a window that does not fit into memory on its own."""
    return ServiceUnavailable(
        "The device has no memory for even one window. Try again in a minute, use a smaller model, or lower "
        "MAX_LOADED_MODELS.",
        detail=str(error),
        retry_after=HALVED_SECONDS,
    )
