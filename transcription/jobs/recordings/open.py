"""Opens the recording store chosen by the settings, and lists the folders of this machine that it uses."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.recordings.mounts import disk_of
from transcription.media.intake.uploads_folder import BESIDE_JOBS

FOLDER_NAME = "spool"  # under JOBS_DIR
FILE_SCHEME = "file://"


def open_recordings(settings: Settings) -> RecordingStore:
    """The recording store at SPOOL_URL. Raises InvalidSettings, and ServiceUnavailable for a folder it cannot use."""
    folder = recordings_folder(settings)
    if folder is not None:
        return FolderStore(folder, settings)
    # Imported here, because fsspec takes long to import and only object storage needs it.
    from transcription.jobs.recordings.object_storage import open_object_store

    return open_object_store(settings)


def recordings_folder(settings: Settings) -> Path | None:
    """The folder at SPOOL_URL, None if the URL is not that of a folder. Raises InvalidSettings."""
    url = settings.spool_url
    if not url:
        return settings.jobs_dir / FOLDER_NAME
    if "://" not in url:
        return Path(url).expanduser().resolve()
    if not url.startswith(FILE_SCHEME):
        return None
    path = url.removeprefix(FILE_SCHEME).removeprefix("localhost")
    if not path.startswith("/"):
        raise InvalidSettings("Invalid settings:\n  SPOOL_URL: a folder is given as file:///PATH, with three slashes")
    return Path(unquote(path)).resolve()


def job_folders(settings: Settings) -> list[Path]:
    """The folders of this machine that grow with every accepted job. Raises InvalidSettings."""
    folders = [recordings_folder(settings) or settings.temp_dir]
    return folders if settings.job_backend == "celery" else [settings.jobs_dir, *folders]


def with_uploads_beside_jobs(settings: Settings) -> Settings:
    """The settings with TEMP_DIR moved under JOBS_DIR, where an upload can then become a recording by a rename.

    Files cannot be renamed across file systems. A recording store on a third one, such as a network share, gets copies:
    TEMP_DIR does not move there, because uploads in progress are marked by file locks, which shares may not support.
    """
    folder = recordings_folder(settings)
    if not settings.enable_async or folder is None:
        return settings
    disk = disk_of(folder)
    if disk == disk_of(settings.temp_dir) or disk != disk_of(settings.jobs_dir):
        return settings
    return settings.model_copy(update={"temp_dir": settings.jobs_dir / BESIDE_JOBS})
