"""The Compose files are valid, hold no secrets, and start containers that can do little harm."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from tests.support.deployment import (
    CHART,
    DEPLOY,
    OF_BENTOML,
    ROOT,
    SECRETS,
    SETTINGS,
    Document,
    bytes_of,
    load,
    maxmemory_of,
)
from transcription.api.app import route_table

COMPOSE = DEPLOY / "compose"
FILES = sorted(COMPOSE.glob("*.yaml"))
WHOLE = [COMPOSE / "single.yaml", COMPOSE / "cluster.yaml"]
OURS = {"transcription", "api", "worker", "exporter"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)")
DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
ASKED_URL = re.compile(r"http://127\.0\.0\.1:(\d+)(/[^\s\"]*)")
USER_OF_THE_IMAGE = "1034:1034"
START_SECONDS = 10.0


def services() -> Iterator[tuple[str, Document]]:
    for path in WHOLE:
        yield from load(path)["services"].items()


SERVICES = [pytest.param(service, id=f"{name}") for name, service in services()]
NAMED = [pytest.param(name, service, id=f"{name}") for name, service in services()]
NAMED_OURS = [pytest.param(name, service, id=f"{name}") for name, service in services() if name in OURS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_valid_compose(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "version" not in load(path)


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_is_no_root_and_gets_no_privileges(service: Document) -> None:
    user, _, _ = service["user"].partition(":")
    assert int(user) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_limits_and_is_watched(service: Document) -> None:
    assert {"cpus", "mem_limit", "pids_limit", "healthcheck", "restart", "stop_grace_period"} <= set(service)
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize(("name", "service"), NAMED_OURS)
def test_a_container_of_ours_asks_itself_what_it_answers(name: str, service: Document) -> None:
    (port, path), *more = ASKED_URL.findall(" ".join(service["healthcheck"]["test"]))
    assert not more
    assert path in route_table().probe_paths
    expected = service["environment"]["METRICS_PORT"] if name in ("worker", "exporter") else "3000"
    assert port == expected


@pytest.mark.parametrize(("name", "service"), NAMED_OURS)
def test_every_variable_of_a_container_of_ours_is_a_setting(name: str, service: Document) -> None:
    assert set(service["environment"]) - SETTINGS - OF_BENTOML == set()
    assert service["user"] == USER_OF_THE_IMAGE


@pytest.mark.parametrize(("name", "service"), NAMED_OURS)
def test_every_folder_that_is_written_is_a_volume_or_memory(name: str, service: Document) -> None:
    places = [item.split(":")[0] for item in service.get("tmpfs", [])]
    places += [item.split(":")[1] for item in service.get("volumes", []) if not item.endswith(":ro")]
    for folder in ("BENTOML_HOME", "CACHE_DIR", "JOBS_DIR", "TEMP_DIR"):
        assert any(Path(service["environment"][folder]).is_relative_to(place) for place in places), folder


@pytest.mark.parametrize("name", ["api", "worker", "transcription"])
def test_uploads_are_on_the_disk_of_jobs_and_not_in_memory(name: str) -> None:
    environment = dict(services())[name]["environment"]
    assert Path(environment["TEMP_DIR"]).parent == Path(environment["JOBS_DIR"])


@pytest.mark.parametrize(("name", "service"), NAMED)
def test_what_is_mounted_from_the_repository_is_there_and_only_read(name: str, service: Document) -> None:
    for volume in service.get("volumes", []):
        if volume.startswith("."):
            source, _, mode = volume.split(":")
            assert (COMPOSE / source).exists()
            assert mode == "ro"


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_every_volume_and_every_network_is_declared(path: Path) -> None:
    document = load(path)
    for service in document["services"].values():
        named = {item.split(":")[0] for item in service.get("volumes", []) if item[0] not in "./"}
        assert named <= set(document["volumes"])
        assert set(service.get("networks", [])) <= set(document.get("networks", {}))


def test_ports_are_open_to_this_machine_only() -> None:
    for _, service in services():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:"))


def test_redis_is_on_the_network_without_a_way_out() -> None:
    cluster = load(COMPOSE / "cluster.yaml")
    assert cluster["services"]["redis"]["networks"] == ["back"]
    assert cluster["networks"]["back"] == {"internal": True}
    assert "ports" not in cluster["services"]["redis"]


def test_everything_that_needs_redis_waits_until_it_answers() -> None:
    for name, service in load(COMPOSE / "cluster.yaml")["services"].items():
        if name in OURS:
            assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}


def test_workers_end_later_than_their_work_is_handed_back() -> None:
    for name, service in services():
        if name in OURS:
            assert service["stop_grace_period"] == "60s"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_secret_is_in_a_file(path: Path) -> None:
    for service in load(path)["services"].values():
        for name, value in service.get("environment", {}).items():
            if name in SECRETS or "PASSWORD" in name or "AUTH" in name:
                assert "${" in value
                assert ":?" in value  # Compose stops when it is empty


def test_every_variable_of_compose_is_in_the_example() -> None:
    example = (COMPOSE / "env.example").read_text()
    for path in FILES:
        for variable in VARIABLE.findall(path.read_text()):
            assert re.search(rf"^#?{variable}=", example, re.MULTILINE), variable


def test_the_gpu_goes_to_the_workers() -> None:
    services_of = load(COMPOSE / "gpu.yaml")["services"]
    assert set(services_of) == {"worker"}
    (device,) = services_of["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert services_of["worker"]["environment"] == {"WHISPER_DEVICE": "cuda"}


def test_prometheus_reads_every_service_of_ours_at_its_port() -> None:
    jobs = load(DEPLOY / "prometheus" / "compose.yaml")["scrape_configs"]
    places = {job["job_name"]: job["dns_sd_configs"][0] for job in jobs}
    cluster = load(COMPOSE / "cluster.yaml")["services"]
    assert {job: (place["names"], place["port"]) for job, place in places.items()} == {
        "transcription": (["api"], 3000),
        "transcription-worker": (["worker"], 9090),
        "transcription-exporter": (["exporter"], 9090),
    }
    assert OURS - {"transcription"} <= set(cluster)


def test_grafana_finds_its_prometheus_and_its_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = load(provisioning / "datasources" / "prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = load(provisioning / "dashboards" / "transcription.yaml")["providers"]
    grafana = load(COMPOSE / "cluster.yaml")["services"]["grafana"]
    for name in ("dashboard.json", "cluster.json"):
        assert f"../grafana/{name}:{provider['options']['path']}/{name}:ro" in grafana["volumes"]


def test_both_ways_to_deploy_have_the_same_redis() -> None:
    chart = yaml.safe_load((CHART / "values.yaml").read_text())["redis"]["image"]
    assert chart == load(COMPOSE / "cluster.yaml")["services"]["redis"]["image"]


@pytest.fixture
def configured_redis(tmp_path: Path) -> Iterator[Any]:
    """A real Redis with the configuration of deploy/."""
    server = shutil.which("redis-server")
    if not server:
        pytest.skip("needs redis-server: make tools installs it")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, str(DEPLOY / "redis" / "redis.conf"), "--port", str(port), "--dir", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--bind", "127.0.0.1", "--requirepass", "x"], stdout=subprocess.DEVNULL
    ) as process:
        client = redis.Redis(port=port, password="x", decode_responses=True)
        try:
            wait_for(client)
            yield client
        finally:
            client.close()
            process.terminate()


def wait_for(client: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def test_redis_takes_its_configuration_and_keeps_what_it_was_given(configured_redis: Any) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
    assert {name: configured_redis.config_get(name)[name] for name in wanted} == wanted


def test_redis_is_full_before_it_is_killed() -> None:
    server = load(COMPOSE / "cluster.yaml")["services"]["redis"]
    command, limit = (filled_in(text) for text in (server["command"][-1], server["mem_limit"]))
    assert bytes_of(maxmemory_of([command])) < 0.7 * bytes_of(limit)


def filled_in(text: str) -> str:
    """As Compose reads it when no variable is set."""
    return DEFAULT.sub(lambda found: found[1], text)


def test_the_repository_keeps_no_filled_in_environment() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "deploy/compose/.env", "deploy/compose/transcription.env"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(ignored.stdout.split()) == 2
