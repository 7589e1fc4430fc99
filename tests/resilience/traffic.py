"""Requests of all kinds for the soak: what is sent, what came of it, and whether that is what should have."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import httpx

FORMATS = ("json", "verbose_json", "srt", "vtt", "text")
LEAVES_AFTER = 0.3  # seconds
CANCELLED_AFTER = 0.3
POLL_SECONDS = 0.5
REQUEST_TIMEOUT = 300.0  # seconds
LEFT, NO_ANSWER = "left", "no answer"


class Kind(StrEnum):
    """A class of requests."""

    SPEECH = "speech"
    NOISE = "noise"
    HOSTILE = "hostile"
    LEAVING = "speech, client leaves"
    JOB = "job"
    CANCELLED_JOB = "job, cancelled"


SHARES = {
    Kind.SPEECH: 0.5,
    Kind.NOISE: 0.06,
    Kind.HOSTILE: 0.16,
    Kind.LEAVING: 0.1,
    Kind.JOB: 0.12,
    Kind.CANCELLED_JOB: 0.06,
}
# 503 is an honest answer of a service that has too much to do, and counted apart.
EXPECTED = {
    Kind.SPEECH: {"200"},
    Kind.NOISE: {"200"},
    Kind.HOSTILE: {"200", "400", "413", "422"},
    Kind.LEAVING: {LEFT, "200"},
    Kind.JOB: {"completed"},
    Kind.CANCELLED_JOB: {"cancelled"},
}
BUSY = "503"
FINAL = {"completed", "failed", "cancelled"}


@dataclass(frozen=True, slots=True)
class File:
    """What a client sends as a recording."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    kind: Kind
    file: File
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Files:
    """What there is to send."""

    speech: tuple[File, ...]
    noise: tuple[File, ...]
    hostile: tuple[File, ...]

    def of(self, kind: Kind) -> tuple[File, ...]:
        if kind is Kind.NOISE:
            return self.noise
        return self.hostile if kind is Kind.HOSTILE else self.speech


def requests(files: Files, seed: int = 0) -> Iterator[Request]:
    """A mix of everything callers do, without end, the same for the same seed."""
    chance = random.Random(seed)
    while True:
        kind = chance.choices(tuple(SHARES), tuple(SHARES.values()))[0]
        fields = {
            "response_format": chance.choice(FORMATS),
            "timestamp_granularity": chance.choice(("segment", "word")),
            "beam_size": chance.choice(("1", "5")),
            "vad_filter": chance.choice(("true", "true", "false")),
            "language": chance.choice(("", "en", "de")),
        }
        yield Request(kind, chance.choice(files.of(kind)), fields)


def is_expected(kind: Kind, outcome: str) -> bool:
    """Whether a request of that kind should end so."""
    return outcome in EXPECTED[kind]


async def send(client: httpx.AsyncClient, request: Request) -> str:
    """The outcome in a word: the status, what became of the job, "left" or "no answer"."""
    try:
        if request.kind in (Kind.JOB, Kind.CANCELLED_JOB):
            return await _follow(client, request)
        async with asyncio.timeout(LEAVES_AFTER if request.kind is Kind.LEAVING else REQUEST_TIMEOUT):
            return str((await _post(client, request)).status_code)
    except (TimeoutError, httpx.TimeoutException):
        return LEFT if request.kind is Kind.LEAVING else NO_ANSWER
    except httpx.TransportError as error:
        return type(error).__name__


async def _post(client: httpx.AsyncClient, request: Request, **more: str) -> httpx.Response:
    file = (request.file.name, request.file.content)
    return await client.post("/transcribe", files={"file": file}, data={**request.fields, **more})


async def _follow(client: httpx.AsyncClient, request: Request) -> str:
    """Wait for the end of a job, and delete what is kept of it."""
    async with asyncio.timeout(REQUEST_TIMEOUT):
        accepted = await _post(client, request, **{"async": "true"})
        if accepted.status_code != httpx.codes.ACCEPTED:
            return str(accepted.status_code)
        job = f"/jobs/{accepted.json()['job_id']}"
        if request.kind is Kind.CANCELLED_JOB:
            await asyncio.sleep(CANCELLED_AFTER)
            answer = await client.delete(job)
            return "cancelled" if answer.is_success else str(answer.status_code)
        while (status := (await client.get(accepted.headers["location"])).json()["status"]) not in FINAL:
            await asyncio.sleep(POLL_SECONDS)
        await client.delete(job)
        return str(status)
