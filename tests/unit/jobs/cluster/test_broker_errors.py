"""A worker goes on when Redis is lost while its messages are unacknowledged, and when Redis refuses to write."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from tests.support.redis_server import redis_server
from tests.support.waiting import wait_until
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import QUEUE, make_celery


def test_a_channel_of_a_closed_connection_fails_with_a_connection_error(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        connection = make_celery(Settings(job_backend="celery", redis_url=server.url)).connection()
        channel = connection.channel()
        connection.close()
    with pytest.raises(connection.connection_errors), channel.conn_or_acquire():
        pass


@pytest.mark.parametrize(
    ("option", "value", "reason"), [("min-replicas-to-write", "1", "NOREPLICAS"), ("maxmemory", "1", "maxmemory")]
)
def test_a_refused_write_is_a_connection_error(tmp_path: Path, option: str, value: str, reason: str) -> None:
    with redis_server(tmp_path, f"--{option}", value) as server:
        app = make_celery(Settings(job_backend="celery", redis_url=server.url))
        with app.connection() as connection, connection.channel() as channel:
            with pytest.raises(connection.connection_errors, match=reason):
                channel._put(QUEUE, {"properties": {"priority": 0}})
            with redis.Redis(port=server.port) as client:
                client.config_set(option, 0)
            channel._put(QUEUE, {"properties": {"priority": 0}})  # on a new connection


def test_a_disk_that_cannot_be_written_is_a_connection_error(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder, "--save", "3600 1") as server, redis.Redis(port=server.port) as client:
        shutil.rmtree(folder)
        client.bgsave()
        assert wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        app = make_celery(Settings(job_backend="celery", redis_url=server.url))
        with app.connection() as connection:
            with pytest.raises(connection.connection_errors, match="MISCONF"):
                connection.channel()  # not even PING is answered then
            client.config_set("stop-writes-on-bgsave-error", "no")
            with connection.channel() as channel:
                channel._put(QUEUE, {"properties": {"priority": 0}})
