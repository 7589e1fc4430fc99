"""A real primary, its replica and three Sentinels on free ports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from tests.support.cluster import Member, redis_member
from tests.support.service import free_port
from tests.support.waiting import wait_until

PRIMARY = "jobs"
NUMBER, QUORUM = 3, 2
CONFIGURATION = """port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {name} {host} {primary} {quorum}
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 3000
"""


class Guarded:
    """url: as in REDIS_URL. primary, replica: the two servers."""

    def __init__(self, folder: Path) -> None:
        ports = [free_port() for _ in range(2 + NUMBER)]
        self.ports = ports
        for name in ("primary", "replica"):
            (folder / name).mkdir()
        self.primary = redis_member(folder / "primary", ports[0])
        self.replica = redis_member(folder / "replica", ports[1], "--replicaof", "127.0.0.1", str(ports[0]))
        self.sentinels = [_sentinel(folder / f"sentinel-{port}", port, ports[0]) for port in ports[2:]]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports[2:])
        self.url = f"redis+sentinel://{hosts}/{PRIMARY}/0"

    def is_complete(self) -> bool:
        """Whether the Sentinels know each other and the replica, which is in sync."""
        with redis.Redis(port=self.ports[1]) as replica:
            if replica.info("replication")["master_link_status"] != "up":
                return False
        for port in self.ports[2:]:
            with redis.Redis(port=port) as sentinel:
                state = sentinel.sentinel_master(PRIMARY)
                if state["num-slaves"] != 1 or state["num-other-sentinels"] != NUMBER - 1:
                    return False
        return True


def _sentinel(
    folder: Path, port: int, primary: int, *, host: str = "127.0.0.1", quorum: int = QUORUM, options: str = ""
) -> Member:
    folder.mkdir()
    file = folder / "sentinel.conf"
    known = {"name": PRIMARY, "host": host, "primary": primary, "quorum": quorum}
    file.write_text(options + CONFIGURATION.format(port=port, folder=folder, **known))

    def answers() -> bool:
        try:
            with redis.Redis(port=port) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    return Member("sentinel", ["redis-server", str(file), "--sentinel"], {}, folder, answers)


@contextmanager
def sentinel_with_tls(folder: Path, primary: int, certificate: Path) -> Iterator[int]:
    """The port of a Sentinel that speaks TLS, with its primary as well. primary: the port of that for TLS.

    certificate: of localhost, with its key.
    """
    port, folder = free_port(), folder / "sentinel"
    tls = f"""tls-port {port}
tls-cert-file {certificate}
tls-key-file {certificate}
tls-ca-cert-file {certificate}
tls-auth-clients no
tls-replication yes
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
"""
    member = _sentinel(folder, free_port(), primary, host="localhost", quorum=1, options=tls)
    try:
        member.start()
        yield port
    finally:
        member.kill()


@contextmanager
def guarded_redis(folder: Path) -> Iterator[Guarded]:
    """All of them running. The test is skipped where no Redis is installed."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    guarded = Guarded(folder)
    with ExitStack() as stack:
        for member in (guarded.primary, guarded.replica, *guarded.sentinels):
            stack.callback(member.kill)
            member.start()
        assert wait_until(guarded.is_complete, 60)
        yield guarded
