"""The results of jobs as bytes, in every form in which clients ask for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence

from formats import json as json_format
from formats import registry
from formats.registry import Rendered, ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from transcription.api.schemas.jobs import utc
from transcription.api.shared_bodies import Shared, SharedBodies
from transcription.core.transcript import Transcript
from transcription.jobs.job import Job
from transcription.jobs.service import JobService

NOTICES_HEADER = "X-Transcription-Warnings"  # codes of the notices about the file, comma-separated
SUBTITLE_WARNINGS_HEADER = "X-Subtitle-Warnings"  # number of cues that are too fast to read, if requested


class RenderedResults:
    """The results of jobs as bytes. memory: as for SharedBodies."""

    def __init__(self, jobs: JobService, memory: int) -> None:
        self._jobs = jobs
        self._bodies = SharedBodies(memory)

    async def in_status(self, job: Job) -> Shared:
        """The end of a completed job's status, as compact JSON: its members `warnings` and `result`, and the brace.

        Raises as `Transcripts.present`.
        """
        return await self._get(job, (), lambda transcript: Shared(_end_of_status(transcript)))

    async def partial_text(self, job: Job) -> str:
        """The text of an unfinished job so far."""

        async def make() -> Shared:
            return Shared((await self._jobs.partial_text(job)).encode())

        shared = await self._bodies.get((job.id, job.attempt, job.seconds_done, "partial"), make)
        return shared.content.decode()

    async def in_format(
        self, job: Job, response_format: ResponseFormat, layout: SubtitleLayout | None, version: int | None = None
    ) -> Shared:
        """The result in a format, with its headers. version: of the transcript; None for the present one.

        Raises as `Transcripts.former` and `registry.render`.
        """

        def render(transcript: Transcript) -> Shared:
            rendered = registry.render(transcript, response_format, layout)
            return Shared(rendered.body.encode(), {**headers_of(rendered), **notice_headers(transcript)})

        return await self._get(job, (response_format, layout), render, version)

    async def for_editing(self, job: Job, version: int | None = None) -> Shared:
        """The transcript as GET /jobs/{id}/transcript answers, with its headers. Raises as `Transcripts.stored`."""

        async def make() -> Shared:
            transcript = await self._jobs.transcripts.stored(job, version)
            versions = await self._jobs.transcripts.versions(job)
            shown = next((each for each in versions if each.number == version), versions[-1])
            headers = {"ETag": etag_of(job.result)} if version is None else {}
            document = {"job_id": job.id, "version": shown.number, "saved_at": utc(shown.saved_at)}
            return await self._bodies.run(_for_editing, document, transcript, headers)

        return await self._bodies.get(_key(job, "for editing", version), make)

    async def _get(
        self,
        job: Job,
        form: tuple[Hashable, ...],
        render: Callable[[Transcript], Shared],
        version: int | None = None,
    ) -> Shared:
        async def make() -> Shared:
            read = self._jobs.transcripts
            transcript = await (read.present(job) if version is None else read.former(job, version))
            return await self._bodies.run(render, transcript)

        return await self._bodies.get(_key(job, *form, version), make)


def _key(job: Job, *form: Hashable) -> tuple[Hashable, ...]:
    # A job that was run again, or whose transcript was corrected, has another result.
    return (job.id, job.attempt, job.finished_at, job.status, job.result, *form)


def etag_of(result: str) -> str:
    """The ETag of the transcript of a job. result: which one it is, see `Job.result`."""
    return f'"{result}"'


def _for_editing(document: dict[str, object], transcript: Transcript, headers: dict[str, str]) -> Shared:
    segments = []
    for number, segment in enumerate(transcript.segments):
        words = {"words": [json_format.word_to_dict(word) for word in segment.words]} if segment.words else {}
        segments.append({**json_format.segment_to_dict(number, segment), **words})
    document |= {
        "language": transcript.language,
        "duration": round(transcript.duration, json_format.TIME_DIGITS),
        "segments": segments,
    }
    if transcript.speakers:
        document["speakers"] = [json_format.speaker_to_dict(speaker) for speaker in transcript.speakers]
    content = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    return Shared(content, {"Content-Type": "application/json", **headers})


def notice_headers(transcript: Transcript, others: Sequence[str] = ()) -> dict[str, str]:
    """The header with the codes of the notices about the file, so that formats without a field for them show them.

    others: codes of warnings that are not about its content.
    """
    return codes_header([*others, *(notice.code for notice in transcript.notices)])


def codes_header(codes: Sequence[str]) -> dict[str, str]:
    """The header with the codes of warnings; none without any."""
    return {NOTICES_HEADER: ", ".join(dict.fromkeys(codes))} if codes else {}


def _end_of_status(transcript: Transcript) -> bytes:
    document = {**json_format.notices_of(transcript), "result": json_format.to_dict(transcript)}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()[1:]


def headers_of(rendered: Rendered) -> dict[str, str]:
    """The headers of a response with a rendered transcript."""
    headers = {"Content-Type": rendered.content_type}
    if rendered.fast_cues is not None:
        headers[SUBTITLE_WARNINGS_HEADER] = str(rendered.fast_cues)
    return headers
