"""The same routes under the paths of Azure OpenAI and of vendors such as Groq, for clients that build these paths."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from transcription.api.dependencies import BackendDependency
from transcription.api.openai import diarization, routes
from transcription.api.openai.documentation import (
    DEPLOYMENT_TRANSCRIPTION_BODY,
    DEPLOYMENT_TRANSLATION_BODY,
    ERRORS,
    TRANSCRIPTION_RESPONSES,
    TRANSLATION_RESPONSES,
)
from transcription.api.openai.errors import VENDOR_PREFIX
from transcription.api.route_facts import route_facts
from transcription.core.options import Task

DEPLOYMENT = f"{VENDOR_PREFIX}/deployments/{{deployment}}/audio"

router = APIRouter(tags=["openai"], responses=ERRORS)


@router.post(
    f"{DEPLOYMENT}/transcriptions",
    summary="Transcribe (Azure OpenAI)",
    operation_id="create_deployment_transcription",
    response_class=Response,
    responses=TRANSCRIPTION_RESPONSES,
    openapi_extra={"requestBody": DEPLOYMENT_TRANSCRIPTION_BODY},
)
@route_facts(upload=True)
async def deployment_transcriptions(deployment: str, request: Request, backend: BackendDependency) -> Response:
    """The same as POST /v1/audio/transcriptions. The name of the deployment selects the model of this name, or the
    default model. `api-version` and `model` are ignored.
    """
    return await routes.answer(request, backend, Task.TRANSCRIBE, deployment)


@router.post(
    f"{DEPLOYMENT}/translations",
    summary="Translate into English (Azure OpenAI)",
    operation_id="create_deployment_translation",
    response_class=Response,
    responses=TRANSLATION_RESPONSES,
    openapi_extra={"requestBody": DEPLOYMENT_TRANSLATION_BODY},
)
@route_facts(upload=True)
async def deployment_translations(deployment: str, request: Request, backend: BackendDependency) -> Response:
    """The same as POST /v1/audio/translations. The name of the deployment selects the model of this name, or the
    default model. `api-version` and `model` are ignored.
    """
    return await routes.answer(request, backend, Task.TRANSLATE, deployment)


# Azure's newer paths, and those of vendors whose clients are made for /openai/v1.
for route in (*routes.router.routes, *diarization.router.routes):
    assert isinstance(route, APIRoute)
    router.add_api_route(
        f"{VENDOR_PREFIX}{route.path}",
        route.endpoint,
        methods=sorted(route.methods or ()),
        response_model=route.response_model,
        include_in_schema=False,
    )
