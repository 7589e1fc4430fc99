"""A real primary, its replicas and three Sentinels on free ports, of this machine or of several."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from tests.support.cluster import Member, redis_answers, redis_member
from tests.support.network import Machine
from tests.support.service import free_port
from tests.support.waiting import wait_until

PRIMARY = "jobs"
NUMBER, QUORUM = 3, 2
CONFIGURATION = """port {port}
bind {own}
protected-mode no
dir {folder}
sentinel monitor {name} {host} {primary} {quorum}
sentinel down-after-milliseconds {name} 500
sentinel failover-timeout {name} 3000
"""


class Guarded:
    """url: as in REDIS_URL. servers: the primary and its replicas, in the beginning in this order.

    machines: of each server, and of the Sentinels; none for this one.
    """

    def __init__(self, folder: Path, *options: str, replicas: int = 1, machines: Sequence[Machine] = ()) -> None:
        self.machines = list(machines)
        count = 1 + replicas
        hosts = [machine.address for machine in machines] or ["127.0.0.1"] * (count + 1)
        ports = [free_port() for _ in range(count + NUMBER)]
        self.addresses = list(zip(hosts[:count], ports[:count], strict=True))
        self.sentinel_addresses = [(hosts[-1], port) for port in ports[count:]]
        self.servers = []
        places = self.machines or [None] * (count + 1)
        first = self.addresses[0]
        for number, (_, port) in enumerate(self.addresses):
            (own := folder / f"server-{number}").mkdir()
            follows = ("--replicaof", first[0], str(first[1])) if number else ()
            self.servers.append(redis_member(own, port, *follows, *options, machine=places[number]))
        self.sentinels = [
            _sentinel(folder / f"sentinel-{port}", port, first[1], host=first[0], machine=places[-1])
            for _, port in self.sentinel_addresses
        ]
        known = ",".join(f"{host}:{port}" for host, port in self.sentinel_addresses)
        self.url = f"redis+sentinel://{known}/{PRIMARY}/0"

    def is_complete(self) -> bool:
        """Whether the Sentinels know each other and the replicas, which are in sync with their primary."""
        primary = self.primary
        for server, (host, port) in enumerate(self.addresses):
            with redis.Redis(host, port) as replica:
                if server != primary and replica.info("replication").get("master_link_status") != "up":
                    return False
        for host, port in self.sentinel_addresses:
            with redis.Redis(host, port) as sentinel:
                state = sentinel.sentinel_master(PRIMARY)
                if state["num-slaves"] != len(self.servers) - 1 or state["num-other-sentinels"] != NUMBER - 1:
                    return False
        return True

    @property
    def primary(self) -> int:
        """Which server it is, as the first Sentinel says."""
        host, port = self.sentinel_addresses[0]
        with redis.Redis(host, port) as sentinel:
            state = sentinel.sentinel_master(PRIMARY)
        return self.addresses.index((state["ip"], int(state["port"])))


def _sentinel(
    folder: Path,
    port: int,
    primary: int,
    *,
    host: str = "127.0.0.1",
    quorum: int = QUORUM,
    options: str = "",
    machine: Machine | None = None,
) -> Member:
    folder.mkdir()
    file = folder / "sentinel.conf"
    own, prefix = (machine.address, machine.prefix) if machine else ("127.0.0.1", [])
    known = {"name": PRIMARY, "host": host, "primary": primary, "quorum": quorum, "own": own}
    file.write_text(options + CONFIGURATION.format(port=port, folder=folder, **known))
    command = [*prefix, "redis-server", str(file), "--sentinel"]
    return Member("sentinel", command, {}, folder, lambda: redis_answers(own, port))


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
def guarded_redis(
    folder: Path, *options: str, replicas: int = 1, machines: Sequence[Machine] = ()
) -> Iterator[Guarded]:
    """All of them running. The test is skipped where no Redis is installed.

    options: of the servers. machines: one for each server, and one for the Sentinels; none for this one.
    """
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    guarded = Guarded(folder, *options, replicas=replicas, machines=machines)
    with ExitStack() as stack:
        for member in (*guarded.servers, *guarded.sentinels):
            stack.callback(member.kill)
            member.start()
        assert wait_until(guarded.is_complete, 60)
        yield guarded
