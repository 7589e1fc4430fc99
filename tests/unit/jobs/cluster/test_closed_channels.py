"""A worker goes on when Redis is lost while its messages are unacknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.redis_server import redis_server
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import make_celery


def test_a_channel_of_a_closed_connection_fails_with_a_connection_error(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        connection = make_celery(Settings(job_backend="celery", redis_url=server.url)).connection()
        channel = connection.channel()
        connection.close()
    with pytest.raises(connection.connection_errors), channel.conn_or_acquire():
        pass
