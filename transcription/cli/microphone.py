"""A microphone, recorded by ffmpeg."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from transcription.cli.transcriber import RecordingFailed
from transcription.core.audio import SAMPLE_RATE

DEFAULT = "default"
STOP_SECONDS = 5.0
END_SECONDS = 0.5  # between the end of the audio of ffmpeg and its own


@dataclass(frozen=True, slots=True)
class Device:
    """An input device of ffmpeg. listing: the arguments or the command that names the microphones."""

    demuxer: str
    source: str
    listing: str


def devices_for(platform: str, microphone: str, demuxers: str) -> Device:
    """The device that records. platform: `sys.platform`. demuxers: output of `ffmpeg -devices`.

    Raises RecordingFailed if ffmpeg was built without it, or a name is needed.
    """
    if platform == "darwin":
        device = Device("avfoundation", f":{microphone}", 'ffmpeg -f avfoundation -list_devices true -i ""')
    elif platform == "win32":
        if microphone == DEFAULT:
            raise RecordingFailed(
                "Windows has no default microphone. Name one with --microphone NAME: "
                "ffmpeg -f dshow -list_devices true -i dummy lists them."
            )
        device = Device("dshow", f"audio={microphone}", "ffmpeg -f dshow -list_devices true -i dummy")
    elif _has(demuxers, "pulse"):
        device = Device("pulse", microphone, "pactl list short sources")
    else:
        device = Device("alsa", microphone, "arecord -L")
    if not _has(demuxers, device.demuxer):
        raise RecordingFailed(
            f"this ffmpeg cannot record: it has no input device {device.demuxer}. Install your system's ffmpeg, or set "
            "FFMPEG_PATH to one that has it."
        )
    return device


@contextmanager
def recording(ffmpeg: Path, platform: str, microphone: str) -> Iterator[Recorder]:
    """Record until the end of the block."""
    listed = subprocess.run([ffmpeg, "-hide_banner", "-devices"], capture_output=True, text=True, check=False)
    device = devices_for(platform, microphone, listed.stdout)
    command = [
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "error", "-f", device.demuxer, "-i", device.source),
        *("-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "-flush_packets", "1", "-"),
    ]
    # In a group of its own: Ctrl-C ends the audio here, after which ffmpeg is ended.
    with (
        tempfile.TemporaryFile() as messages,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages, start_new_session=True) as process,
    ):
        try:
            yield Recorder(process, messages, device)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class Recorder:
    """ffmpeg while it records."""

    def __init__(self, process: subprocess.Popen[bytes], messages: IO[bytes], device: Device) -> None:
        self._process = process
        self._messages = messages
        self._device = device

    @property
    def descriptor(self) -> int:
        """The pipe with its samples: int16, 16 kHz mono."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def check(self) -> None:
        """After the end of the audio. Raises RecordingFailed if ffmpeg itself has ended with an error."""
        try:
            failed = self._process.wait(END_SECONDS) != 0
        except subprocess.TimeoutExpired:  # it records still: Ctrl-C has ended the audio
            return
        if failed:
            self._messages.seek(0)
            lines = self._messages.read().decode(errors="replace").split("\n")
            reason = next((line for line in reversed(lines) if line.strip()), "ffmpeg gave no reason")
            raise RecordingFailed(
                f"the microphone '{self._device.source}' cannot be recorded: {reason.strip()}. Choose another with "
                f"--microphone NAME; `{self._device.listing}` lists them."
            )


def _has(demuxers: str, name: str) -> bool:
    """Whether a list such as ' D  alsa   ALSA audio input' has a device that records."""
    rows = [line.split() for line in demuxers.splitlines()]
    return any(len(row) > 1 and "D" in row[0] and name in row[1].split(",") for row in rows)
