"""A session's configuration as clients are shown it."""

from __future__ import annotations

from typing import Any

from transcription.api.realtime.client_events import PCM
from transcription.api.realtime.session_config import BETA_FORMATS, SessionConfig

Document = dict[str, Any]

OBJECT = "realtime.transcription_session"


def session_document(config: SessionConfig, session_id: str) -> Document:
    """The session as OpenAI's API shows it. What is not supported is null."""
    rate = {"rate": config.rate} if config.format == PCM else {}
    return {
        "id": session_id,
        "object": OBJECT,
        "type": "transcription",
        "expires_at": 0,
        "include": config.include or None,
        "audio": {
            "input": {
                "format": {"type": config.format, **rate},
                "noise_reduction": None,
                "transcription": _transcription(config),
                "turn_detection": _turn_detection(config),
            }
        },
    }


def beta_document(config: SessionConfig, session_id: str) -> Document:
    """The session as the beta shows it."""
    names = {ours: theirs for theirs, ours in BETA_FORMATS.items()}
    return {
        "id": session_id,
        "object": OBJECT,
        "expires_at": 0,
        "include": config.include or None,
        "input_audio_format": names[config.format],
        "input_audio_noise_reduction": None,
        "input_audio_transcription": _transcription(config),
        "turn_detection": _turn_detection(config),
    }


def _transcription(config: SessionConfig) -> Document:
    return {
        "model": config.model,
        "language": config.language or None,
        "prompt": config.prompt,
        **({"languages": list(config.languages)} if config.languages else {}),
        **({"keywords": list(config.keywords)} if config.keywords else {}),
    }


def _turn_detection(config: SessionConfig) -> Document | None:
    turns = config.turn_detection
    if turns is None:
        return None
    return {
        "type": "server_vad",
        "threshold": turns.threshold,
        "prefix_padding_ms": turns.prefix_padding_ms,
        "silence_duration_ms": turns.silence_ms,
    }
