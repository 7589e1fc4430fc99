"""The folder for uploads: our own inside TEMP_DIR, which may be shared with others."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transcription.core.errors import InsufficientStorage, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.system.disk import is_full
from transcription.system.private_folder import UnsafeFolder, open_private

UPLOAD_NAME = re.compile(r"upload-[0-9a-f]{32}")
BESIDE_JOBS = "uploads"  # in JOBS_DIR, in place of TEMP_DIR
RETRY_SECONDS = 60.0  # of a disk that is full, or a folder that an operator has to see to


def uploads_folder(settings: Settings) -> Path:
    """The path of the folder. Its name contains the user's number, so that the services of two users are apart."""
    return settings.temp_dir / f"transcription-{os.geteuid()}"


def setting_of(settings: Settings) -> str:
    """The setting that says where the folder is: uploads lie beside jobs if TEMP_DIR is on another disk."""
    return "JOBS_DIR" if settings.temp_dir == settings.jobs_dir / BESIDE_JOBS else "TEMP_DIR"


def new_name() -> str:
    """A name for an upload. Files with other names are not ours."""
    return f"upload-{uuid.uuid4().hex}"


@contextmanager
def open_uploads(settings: Settings) -> Iterator[int]:
    """A descriptor of the folder, created if it is missing. Raises ServiceUnavailable with the reason."""
    descriptor = open_uploads_folder(settings)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_uploads_folder(settings: Settings) -> int:
    """As `open_uploads`; the caller closes the descriptor."""
    folder, setting = uploads_folder(settings), setting_of(settings)
    try:
        return open_private(folder)
    except UnsafeFolder as unsafe:
        raise ServiceUnavailable(
            f"The folder '{folder.name}' for uploads in {setting} {unsafe}. Have the operator remove it or set "
            f"{setting} to another folder.",
            retry_after=RETRY_SECONDS,
        ) from None
    except OSError as error:
        raise unusable(error, settings) from error


def unusable(error: OSError, settings: Settings) -> ServiceUnavailable:
    """The error for an upload that cannot be written."""
    setting = setting_of(settings)
    if is_full(error):
        return InsufficientStorage(
            f"The disk is full: there is no space left under {setting} for this upload. Try again later, or tell the "
            "operator.",
            error.strerror or "",
            retry_after=RETRY_SECONDS,
        )
    return ServiceUnavailable(
        f"The folder for uploads in {setting} cannot be used. Try again later; if the error persists, have the "
        f"operator check that {setting} exists and can be written by the user that the service runs as.",
        error.strerror or type(error).__name__,
        retry_after=RETRY_SECONDS,
    )
