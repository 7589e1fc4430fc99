"""Checks that there are enough resources for new work, before an upload is read. Running work continues."""

from __future__ import annotations

from transcription.core.errors import InsufficientStorage, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.media.intake.uploads_folder import open_uploads, setting_of
from transcription.system.cgroup_memory import read_memory
from transcription.system.disk import free_space

MEMORY_RETRY_SECONDS = 15.0  # about the time until a recording in progress is finished
DISK_RETRY_SECONDS = 60.0


def check_room(settings: Settings) -> None:
    """Check memory and disk. Raises ServiceUnavailable, InsufficientStorage."""
    if reason := memory_shortage(settings):
        raise ServiceUnavailable(reason, retry_after=MEMORY_RETRY_SECONDS)
    if reason := disk_shortage(settings):
        raise InsufficientStorage(reason, retry_after=DISK_RETRY_SECONDS)


def memory_shortage(settings: Settings) -> str:
    """The message about too little memory, with the remedy; "" if there is enough, or if the limit is unknown."""
    memory = read_memory()
    if memory is None or memory.ratio * 100 <= settings.memory_limit_percent:
        return ""
    return (
        f"{memory.ratio:.0%} of memory is in use, more than MEMORY_LIMIT_PERCENT ({settings.memory_limit_percent}). "
        "Try again later."
    )


def disk_shortage(settings: Settings) -> str:
    """The message about too little disk space for uploads, with the remedy; "" if there is enough.

    The folder for uploads is created again if it is missing. Raises ServiceUnavailable if it cannot be used.
    """
    with open_uploads(settings) as folder:
        free = free_space(folder)
    if free >= settings.min_free_disk:
        return ""
    setting = setting_of(settings)
    return (
        f"{free} bytes are free under {setting}, fewer than MIN_FREE_DISK ({settings.min_free_disk}). Free some space "
        f"or move {setting}."
    )
