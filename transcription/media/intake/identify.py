"""Identifies the container of a file by its content."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from transcription.media.intake import containers
from transcription.media.intake.containers import Container
from transcription.media.intake.frames import SCAN_BYTES, find_frames

if TYPE_CHECKING:  # the command identifies recordings, and receives no uploads
    from transcription.media.intake.upload import Upload

BY_DEMUXER = {container.demuxer: container for container in (containers.MP3, containers.AAC)}
# Of a file without an ID3 tag, more bytes tell nothing more.
DECIDING_BYTES = SCAN_BYTES + containers.HEAD_BYTES


def identify(upload: Upload) -> tuple[Container | None, int]:
    """The container of a file, None if it is unknown, and the number of bytes before its first frame."""
    with upload.reader() as file:
        return identify_content(file)


def identify_content(file: IO[bytes]) -> tuple[Container | None, int]:
    """The same of a file that is open at its beginning."""
    head = file.read(containers.HEAD_BYTES)
    tag = containers.id3_length(head)
    file.seek(tag)
    found = containers.recognise(head, file.read(containers.HEAD_BYTES))
    if found not in (None, containers.MP3, containers.AAC):
        return found, 0 if found is containers.FLAC else tag
    # The first bytes of MPEG audio and AAC say little: half a frame may look like one, and junk may precede them.
    file.seek(tag)
    frames = find_frames(file.read(DECIDING_BYTES))
    if frames is None:
        return found, 0
    demuxer, place = frames
    return BY_DEMUXER[demuxer], tag + place if place else 0


def misnamed(upload: Upload) -> str:
    """How the name or the declared type of a file contradicts its content, for a message; empty if neither does."""
    container, _ = identify(upload)
    return containers.contradiction(container, upload.filename, upload.content_type) if container else ""
