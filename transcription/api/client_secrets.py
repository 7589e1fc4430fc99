"""Client secrets: short-lived, signed keys that a server hands to a browser or an app, for one kind of live session.

Nothing is stored: every process that has the key of CLIENT_SECRET_KEY can check them. A secret is `ek_`, a JSON object
and its HMAC-SHA256 (RFC 2104), in base64url without padding, so that it fits into a header for subprotocols (RFC 6455).
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from transcription.core.errors import InvalidApiKey, InvalidParameter

PREFIX = "ek_"
SEPARATOR = "."
LEAST_SECONDS, MOST_SECONDS = 10, 7200  # OpenAI's
DEFAULT_SECONDS = 600
KEY_BYTES = 32
# Headers are limited to 64 KiB. The longest prompt and keywords fit in every script, 4 bytes a character: about 22,000.
MAX_CHARACTERS = 24_576
GRANT = "transcription.grant"  # key in the ASGI scope: what the client secret of a request allows


@dataclass(frozen=True, slots=True)
class Grant:
    """What a secret allows. caller: name of the API key with which it was made; None if none is required.

    session: the configuration of the session, as its protocol stores it.
    """

    caller: str | None
    session: dict[str, Any]


class ClientSecrets:
    """Makes and checks secrets. key: shared by all processes; "" for a random one. clock: seconds since 1970."""

    def __init__(self, key: str, clock: Callable[[], float] = time.time) -> None:
        self._key = (key or secrets.token_hex(KEY_BYTES)).encode()
        self._clock = clock

    def make(self, grant: Grant, seconds: int) -> tuple[str, int]:
        """A secret, and the time at which it expires, in whole seconds since 1970.

        Raises InvalidParameter if it would be too long to be accepted.
        """
        expires = int(self._clock()) + seconds
        document = {"expires": expires, "caller": grant.caller, "session": grant.session}
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        secret = f"{PREFIX}{_encoded(content)}{SEPARATOR}{_encoded(self._signature(content))}"
        if len(secret) > MAX_CHARACTERS:
            raise InvalidParameter(
                f"The session is too long for a client secret, which would have {len(secret)} characters; the limit is "
                f"{MAX_CHARACTERS}. Shorten its texts, or send them in a session.update.",
                parameter="session",
            )
        return secret, expires

    def check(self, secret: str) -> Grant:
        """What a secret allows. Raises InvalidApiKey."""
        if len(secret) > MAX_CHARACTERS:
            raise _invalid()
        content, _, signature = secret.removeprefix(PREFIX).partition(SEPARATOR)
        try:
            signed, given = _decoded(content), _decoded(signature)
        except ValueError:
            raise _invalid() from None
        if not hmac.compare_digest(self._signature(signed), given):
            raise _invalid()
        made = json.loads(signed)  # by us: the signature is ours
        if made["expires"] <= self._clock():
            raise InvalidApiKey(
                "The client secret has expired. Make another one with POST /v1/realtime/client_secrets."
            )
        return Grant(made["caller"], made["session"])

    def _signature(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, sha256)


def is_client_secret(key: str) -> bool:
    """Whether a key is meant to be a client secret. API keys may begin so, but have no separator."""
    return key.startswith(PREFIX) and SEPARATOR in key


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Raises ValueError."""
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _invalid() -> InvalidApiKey:
    return InvalidApiKey("The client secret is invalid. Make another one with POST /v1/realtime/client_secrets.")
