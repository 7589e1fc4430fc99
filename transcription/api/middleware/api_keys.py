"""The valid API keys and their owners.

Keys are random, at least 32 bytes long, and only their SHA-256 is stored; docs/decisions/0017-api-keys.md explains why
that is sufficient.
"""

from __future__ import annotations

import hmac
import secrets
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from transcription.api.caller import Caller
from transcription.core.settings import Settings

KEY_BYTES = 32
MIN_KEY_CHARACTERS = 32  # 128 bits even in hex; make_key.py prints 43
CHECK_SECONDS = 1.0  # between two checks for changes of the file
SINGLE_NAME = "default"  # owner of the key in API_KEY
REMEDY = "python -m scripts.make_key --name NAME prints a key and its entry."

log = structlog.get_logger(__name__)


class InvalidKeys(ValueError):
    """The configured keys are unusable. The message says what to do and contains no key."""


class KeyEntry(BaseModel):
    """One `[[keys]]` of API_KEYS_FILE."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    uploads_per_minute: int | None = Field(None, ge=1)
    reads_per_minute: int | None = Field(None, ge=1)
    live_minutes_per_hour: int | None = Field(None, ge=1)
    admin: bool = False


class KeyFile(BaseModel):
    """The content of API_KEYS_FILE."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    keys: list[KeyEntry] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Key:
    """digest: SHA-256 of the key, 32 bytes. caller: the owner."""

    digest: bytes
    caller: Caller


Stamp = tuple[int, int, int]  # modification time in ns, inode, size


class KeyRing:
    """All valid keys. Changes of the file take effect without a restart; an invalid file leaves the keys as they were.

    single: the key in API_KEY, "" for none. path: API_KEYS_FILE. clock: monotonic, in seconds.
    Raises InvalidKeys on construction.
    """

    def __init__(self, single: str, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._single = single
        self._path = path
        self._clock = clock
        self._checked_at = clock()
        self._stamp = _stamp(path) if path else None
        self._keys = _all_keys(single, path)

    def find(self, given: bytes) -> Caller | None:
        """The owner of a key, or None if it is invalid. The time taken does not depend on whether it is valid."""
        self._reload_if_changed()
        digest = sha256(given).digest()
        found = None
        for key in self._keys:  # no early exit: the time must not reveal which key matched
            if hmac.compare_digest(key.digest, digest):
                found = key.caller
        return found if len(given) >= MIN_KEY_CHARACTERS else None

    def named(self, name: str | None) -> Caller | None:
        """The owner of this name; None if there is no key of this name any more."""
        self._reload_if_changed()
        return next((key.caller for key in self._keys if key.caller.name == name), None)

    def _reload_if_changed(self) -> None:
        now = self._clock()
        if self._path is None or now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _all_keys(self._single, self._path)
        except InvalidKeys as error:
            log.error("api_keys_not_reloaded", reason=str(error), keys=len(self._keys))
        else:
            log.info("api_keys_reloaded", keys=len(self._keys))


def open_keys(settings: Settings) -> KeyRing | None:
    """The valid keys, or None if no key is required. Raises InvalidKeys."""
    if not settings.enable_api_key:
        return None
    return KeyRing(settings.api_key, settings.api_keys_file)


def read_keys(path: Path) -> tuple[Key, ...]:
    """The keys in a file. Raises InvalidKeys."""
    try:
        file = KeyFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidKeys(f"API_KEYS_FILE: {path} cannot be read ({error.strerror}). {REMEDY}") from None
    except ValidationError as error:
        problems = "; ".join(f"{_place(item['loc'])}: {item['msg']}" for item in error.errors())
        raise InvalidKeys(f"API_KEYS_FILE: {path} is invalid: {problems}. {REMEDY}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise InvalidKeys(f"API_KEYS_FILE: {path} is not valid TOML ({error}). {REMEDY}") from None
    return tuple(
        Key(
            bytes.fromhex(entry.sha256),
            Caller(
                entry.name,
                entry.uploads_per_minute,
                entry.reads_per_minute,
                entry.admin,
                entry.live_minutes_per_hour,
            ),
        )
        for entry in file.keys
    )


def make_key() -> str:
    """A new random key."""
    return secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """The SHA-256 of a key in hex, as in the file."""
    return sha256(key.encode()).hexdigest()


def _all_keys(single: str, path: Path | None) -> tuple[Key, ...]:
    keys = read_keys(path) if path else ()
    if single:
        if len(single) < MIN_KEY_CHARACTERS:
            raise InvalidKeys(f"API_KEY needs at least {MIN_KEY_CHARACTERS} characters, not {len(single)}. {REMEDY}")
        keys += (Key(sha256(single.encode()).digest(), Caller(SINGLE_NAME)),)
    if not keys:
        raise InvalidKeys(
            "ENABLE_API_KEY: no key is configured, so every request would be refused. Set API_KEY or API_KEYS_FILE, or "
            f"ENABLE_API_KEY=false. {REMEDY}"
        )
    if duplicate := _duplicate(key.caller.name for key in keys):
        raise InvalidKeys(f"API_KEYS_FILE: the name '{duplicate}' is used twice ('{SINGLE_NAME}' belongs to API_KEY).")
    if _duplicate(key.digest.hex() for key in keys):
        raise InvalidKeys("API_KEYS_FILE: two entries have the same key. Give each client its own key.")
    return keys


def _duplicate(values: Iterable[str]) -> str:
    value, count = Counter(values).most_common(1)[0]
    return value if count > 1 else ""


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _place(location: Iterable[int | str]) -> str:
    return ".".join(str(part) for part in location)
