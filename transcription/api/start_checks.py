"""Checks the settings before any process starts. Imports little: the supervisor of the processes runs this."""

from __future__ import annotations

import asyncio

from transcription.api.middleware.api_keys import InvalidKeys, open_keys
from transcription.core.errors import TranscriptionError
from transcription.core.folders import check_folders
from transcription.core.settings import Settings
from transcription.jobs.recordings.open import open_recordings
from transcription.jobs.store.open import open_store
from transcription.outbound.address_rules import AllowList


def check_settings(settings: Settings) -> None:
    """Refuse to start on settings that cannot work; called once, before any process starts. Raises SystemExit."""
    check_folders(settings)
    try:
        for name, hosts in (("WEBHOOK_ALLOW", settings.webhook_allow), ("URL_ALLOW", settings.url_allow)):
            _check_hosts(name, hosts)
        open_keys(settings)
        asyncio.run(_check_store(settings))
        if settings.enable_async:
            asyncio.run(open_recordings(settings).check())
    except InvalidKeys as error:
        raise SystemExit(f"Invalid settings:\n  {error}") from None
    except TranscriptionError as error:
        raise SystemExit(f"{error.message} {error.detail}".strip()) from None


async def _check_store(settings: Settings) -> None:
    store = open_store(settings)
    try:
        await store.check_version()
    finally:
        await store.close()


def _check_hosts(name: str, hosts: str) -> None:
    try:
        AllowList.parse(hosts)
    except ValueError as error:
        raise SystemExit(f"Invalid settings:\n  {name}: {error}") from None
