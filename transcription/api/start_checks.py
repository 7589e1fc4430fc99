"""Checks the settings before any process starts, and says where the service will be.

Imports little: the supervisor of the processes runs this.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from ipaddress import ip_address

import structlog

from transcription.api.client_secrets import KEY_BYTES
from transcription.api.middleware.api_keys import InvalidKeys, open_keys
from transcription.api.middleware.hosts import AllowedHosts
from transcription.core.errors import TranscriptionError
from transcription.core.folders import check_folders
from transcription.core.settings import Settings
from transcription.diarization.weights import check_weights
from transcription.jobs.recordings.open import open_recordings
from transcription.jobs.store.open import open_store
from transcription.media.intake.uploads_folder import open_uploads
from transcription.outbound.address_rules import AllowList

log = structlog.get_logger(__name__)


def check_settings(settings: Settings) -> None:
    """Refuse to start on settings that cannot work; called once, before any process starts. Raises SystemExit."""
    check_folders(settings)
    try:
        _check("WEBHOOK_ALLOW", settings.webhook_allow, AllowList.parse)
        _check("URL_ALLOW", settings.url_allow, AllowList.parse)
        _check("ALLOWED_HOSTS", settings.allowed_hosts, AllowedHosts.parse)
        open_keys(settings)
        check_weights(settings.whisper_model_dir)
        asyncio.run(_check_store(settings))
        with open_uploads(settings):
            pass  # it belongs to us
        if not settings.client_secret_key:
            # All processes of this start inherit it.
            os.environ["CLIENT_SECRET_KEY"] = secrets.token_hex(KEY_BYTES)
        if settings.enable_async:
            asyncio.run(open_recordings(settings).check())
    except InvalidKeys as error:
        raise SystemExit(f"Invalid settings:\n  {error}") from None
    except TranscriptionError as error:
        raise SystemExit(f"{error.message} {error.detail}".strip()) from None
    log.info("starting", **addresses(settings), model=settings.whisper_model, version=settings.app_version)


def addresses(settings: Settings) -> dict[str, str]:
    """Where people and probes on this machine find the service."""
    host = "localhost" if _is_every_interface(settings.host) else settings.host
    base = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}{settings.root_path}"
    return {"page": f"{base}/ui", "docs": f"{base}/docs", "health": f"{base}/health"}


def _is_every_interface(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


async def _check_store(settings: Settings) -> None:
    store = open_store(settings)
    try:
        await store.check_version()
    finally:
        await store.close()


def _check(name: str, value: str, parse: Callable[[str], object]) -> None:
    try:
        parse(value)
    except ValueError as error:
        raise SystemExit(f"Invalid settings:\n  {name}: {error}") from None
