"""GET /health, /health/live, /health/ready."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from transcription.api.admission import disk_shortage
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.errors import RETRY_SECONDS, SERVICE_UNAVAILABLE, ErrorBody, error_body, public_message, utc_now
from transcription.api.route_facts import route_facts
from transcription.api.server_paths import without_paths
from transcription.core.errors import DamagedStore, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.access import EVERY_JOB

CHECK_SECONDS = 3.0  # time limit of one check
CHECKS = ("model_loaded", "disk_space", "job_store", "background_tasks")

router = APIRouter(tags=["health"])


class Answer(BaseModel):
    """The fields with defaults are in every answer."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Health(Answer):
    """Version, default model and device of the service."""

    status: Literal["healthy"] = "healthy"
    version: str = Field(examples=["1.0.0"])
    model: str = Field(description="The default model.", examples=["base"])
    device: str = Field(
        description="The device that models run on; unknown while the runner restarts.", examples=["cuda"]
    )
    timestamp: str = Field(examples=["2026-11-23T10:30:00Z"])
    uptime_seconds: int = Field(examples=[86400])
    backlog_seconds: float = Field(
        description="Estimated wait of a new request, in seconds; 0 while unknown.", examples=[1.5]
    )


class Liveness(Answer):
    """The process responds."""

    status: Literal["alive"] = "alive"


class Readiness(Answer):
    """The service is ready for requests."""

    status: Literal["ready"] = "ready"
    checks: dict[str, bool] = Field(examples=[dict.fromkeys(CHECKS, True)])


class NotReady(ErrorBody):
    """The service is not ready for requests. reasons: for each failed check, the reason and what to do."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    status: Literal["not_ready"] = "not_ready"
    checks: dict[str, bool] = Field(examples=[{**dict.fromkeys(CHECKS, True), "model_loaded": False}])
    reasons: dict[str, str] = Field(examples=[{"model_loaded": "The model 'base' is loading. Try again in a moment."}])


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. reason: why it failed; "" if it passed."""

    name: str
    reason: str = ""


@router.get("/health", operation_id="get_health")
@route_facts(probe=True)
async def health(backend: BackendDependency) -> Health:
    """Version, default model, device and uptime. 200 as long as the API responds."""
    try:
        state = await backend.recent.get()
        device, backlog = state.device, state.backlog_seconds
    except ServiceUnavailable:
        device, backlog = "unknown", 0.0
    return Health(
        version=backend.settings.app_version,
        model=backend.settings.whisper_model,
        device=device,
        timestamp=utc_now(),
        uptime_seconds=int(backend.uptime),
        backlog_seconds=round(backlog, 1),
    )


@router.get("/health/live", operation_id="get_liveness")
@route_facts(probe=True)
async def live() -> Liveness:
    """Liveness probe: 200 while the event loop runs."""
    return Liveness()


@router.get(
    "/health/ready",
    operation_id="get_readiness",
    response_model=Readiness,
    responses={503: {"model": NotReady, "description": "Not ready, with the reasons"}},
)
@route_facts(probe=True)
async def ready(backend: BackendDependency) -> Response:
    """Readiness probe: 200 if the default model has decoded a window and there is disk space, otherwise 503."""
    checks = await readiness_checks(backend)
    results = {check.name: not check.reason for check in checks}
    if all(results.values()):
        return JSONResponse(Readiness(checks=results).model_dump())
    reasons = {check.name: check.reason for check in checks if check.reason}
    error = error_body(SERVICE_UNAVAILABLE, " ".join(reasons.values()))
    body = NotReady(**error.model_dump(), checks=results, reasons=reasons)
    return JSONResponse(body.model_dump(), SERVICE_UNAVAILABLE.status, {"Retry-After": str(RETRY_SECONDS)})


async def is_ready(backend: Backend) -> bool:
    """Whether the service is ready for requests."""
    return not any(check.reason for check in await readiness_checks(backend))


async def readiness_checks(backend: Backend) -> tuple[Check, ...]:
    """Run all checks concurrently, each within CHECK_SECONDS."""
    checks = [
        in_time("model_loaded", check_model(backend)),
        in_time("disk_space", asyncio.to_thread(check_disk, backend.settings)),
    ]
    if backend.settings.enable_async:
        checks.append(in_time("job_store", check_jobs(backend)))
    return (*await asyncio.gather(*checks), check_background(backend))


async def in_time(name: str, check: Coroutine[Any, Any, Check]) -> Check:
    """The result of a check, or its failure if it takes too long."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check
    except TimeoutError:
        return Check(name, f"The check '{name}' took longer than {CHECK_SECONDS:g} s. Try again in a moment.")


async def check_model(backend: Backend) -> Check:
    """Whether the default model has decoded its first window."""
    try:
        state = await backend.runner.state()
    except ServiceUnavailable as error:
        return Check("model_loaded", error.message)
    if state.ready:
        return Check("model_loaded")
    loading = f"The model '{backend.settings.whisper_model}' is loading. Try again in a moment."
    return Check("model_loaded", without_paths(state.error) or loading)


async def check_jobs(backend: Backend) -> Check:
    """Whether the job store responds and accepts jobs."""
    if backend.jobs.stopping.is_set():
        return Check("job_store", "The service is shutting down. Try again in a moment.")
    try:
        await backend.jobs.list_jobs(EVERY_JOB, (), None, 1)
    except (ServiceUnavailable, DamagedStore) as error:
        return Check("job_store", public_message(error))
    return Check("job_store")


def check_background(backend: Backend) -> Check:
    """Whether every background task is running."""
    names = ", ".join(backend.background.down)
    if not names:
        return Check("background_tasks")
    return Check("background_tasks", f"Background tasks have failed and will be started again: {names}. See the log.")


def check_disk(settings: Settings) -> Check:
    """Whether uploads can be written, and there is enough disk space for them."""
    try:
        return Check("disk_space", disk_shortage(settings))
    except ServiceUnavailable as error:
        return Check("disk_space", error.message)
