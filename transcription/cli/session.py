"""Transcribes recordings one after the other and writes their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from formats.registry import ResponseFormat
from transcription.cli.inputs import Recording
from transcription.cli.names import Targets
from transcription.cli.output import Output
from transcription.cli.recordings import fetched, name_of, open_recording, reason_unreadable
from transcription.cli.screen import Screen
from transcription.cli.transcriber import RecordingFailed, RecordingRequest, ReportProgress, Transcriber

NO_SPEECH = "no speech found"
# What a result without speech consists of, besides white space.
EMPTY = {ResponseFormat.VTT: ("WEBVTT",), ResponseFormat.TSV: ("start\tend\ttext", "start\tend\ttext\tspeaker")}


@dataclass(frozen=True, slots=True)
class Work:
    """A recording, and the formats and the files of its results; no files to print them."""

    recording: Recording
    formats: tuple[ResponseFormat, ...]
    targets: Targets


class Session:
    """Transcribes with one transcriber, so that a model is loaded once.

    parameters: those of POST /transcribe. limit: called for the bytes that may be copied from a pipe or a URL.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        output: Output,
        screen: Screen,
        parameters: Mapping[str, str],
        limit: Callable[[], int],
    ) -> None:
        self._transcriber = transcriber
        self._output = output
        self._screen = screen
        self._parameters = parameters
        self._limit = limit

    def check(self, work: Work) -> None:
        """Find out what can be wrong without a model or a server. Raises RecordingFailed."""
        if not work.recording.url and (reason := reason_unreadable(work.recording.path)):
            raise RecordingFailed(reason)
        self._output.check(work.targets)
        self._output.prepare(work.targets)

    def transcribe(self, work: Work) -> None:
        """Transcribe a recording and write its results, or print them. Raises RecordingFailed, ServerUnavailable."""
        recording, title = work.recording, work.recording.title
        self._output.check(work.targets)
        with (
            self._screen.progress(recording.path.name) as (report, show),
            self._opened(recording, report) as path,
        ):
            results = self._transcriber.transcribe(
                RecordingRequest(
                    path,
                    name_of(recording.path),
                    work.formats,
                    self._parameters,
                    lambda message: self._screen.complain(title, message),
                    # What is printed is the finished result alone.
                    show if work.targets else lambda start, end, text: None,
                ),
                report,
            )
        self._output.write(results, work.targets)
        if not any(has_speech(each, result) for each, result in results.items()):
            self._screen.tell(title, NO_SPEECH)
        if work.targets:
            self._screen.wrote(title, work.targets)

    def _opened(self, recording: Recording, report: ReportProgress) -> AbstractContextManager[Path]:
        """A file with the recording. Raises RecordingFailed when it is entered."""
        if recording.url:
            return fetched(recording.url, self._limit, report)
        return open_recording(recording.path, self._limit, lambda message: self._screen.tell(recording.title, message))


def has_speech(response_format: ResponseFormat, result: str) -> bool:
    """Whether a result has any text."""
    if response_format in (ResponseFormat.JSON, ResponseFormat.VERBOSE_JSON):
        return bool(json.loads(result)["text"].strip())
    return result.strip() not in ("", *EMPTY.get(response_format, ()))
