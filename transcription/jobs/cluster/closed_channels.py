"""A private hook into kombu 5.7: a channel whose connection is closed fails with a connection error.

When Redis is lost while messages are unacknowledged, Celery closes the connection, and then its channels once more. A
closed channel that wants to restore or to acknowledge a message looks for the address of a connection that it no longer
has. The AttributeError is no connection error, so that Celery ends the worker. A connection error it ignores: the
message is delivered again, or the dispatcher sends another one.
"""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisConnectionError

_connection_parameters = Channel._connparams  # type: ignore[attr-defined]


def install() -> None:
    """Install the hook, once or more."""
    Channel._connparams = _checked  # type: ignore[attr-defined]


def _checked(channel: Channel, asynchronous: bool = False) -> dict[str, Any]:
    if channel.connection is None or channel.connection.client is None:
        raise RedisConnectionError("The connection to the broker is closed.")
    parameters: dict[str, Any] = _connection_parameters(channel, asynchronous=asynchronous)
    return parameters
