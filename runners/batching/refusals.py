"""Why a device does not decode a window, as errors for its caller."""

from __future__ import annotations

from runners.batching.scheduler import HALVED_SECONDS
from runners.client.interface import RESTART_SECONDS
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


def stopping() -> ServiceUnavailable:
    """The process is about to end."""
    return ServiceUnavailable("The service is stopping. Try again in a moment.")


def being_replaced() -> ServiceUnavailable:
    """A batch has not ended within its deadline."""
    return ServiceUnavailable(
        "The model did not answer in time; its process is being replaced. Try again in a moment.",
        retry_after=RESTART_SECONDS,
    )
