"""The chart and Compose put the models into runners, which only the API and the workers can reach."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate

from tests.support.deployment import DEPLOY, Document, load, manifests, of_kind, selects
from tests.unit.deploy.test_chart import NEWEST_KUBERNETES, PASSWORD

EXAMPLE = DEPLOY / "helm" / "examples" / "pool.yaml"
PORT = 3000


def deployments() -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in of_kind("Deployment", manifests(EXAMPLE, PASSWORD))}


def environment(deployment: Document) -> dict[str, str]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", "") for item in container["env"]}


def labels(deployment: Document) -> dict[str, str]:
    found: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return found


def test_api_and_workers_ask_the_runners_and_runners_ask_nobody() -> None:
    named = {name.removeprefix("try-transcription-"): environment(each) for name, each in deployments().items()}

    for client in ("api", "worker"):
        hosts = ("try-transcription-runner-base", "try-transcription-runner-large")
        assert named[client]["RUNNER_URL"] == ",".join(f"http://{host}:{PORT}" for host in hosts)
    for runner, model in (("runner-large", "large-v3"), ("runner-base", "base")):
        assert named[runner]["WHISPER_MODEL"] == named[runner]["MODELS"] == model
        assert "RUNNER_URL" not in named[runner] and "REDIS_URL" not in named[runner]


def test_a_name_resolves_to_every_runner_of_its_group() -> None:
    services = {each["metadata"]["name"]: each["spec"] for each in of_kind("Service", manifests(EXAMPLE, PASSWORD))}
    for name, runner in deployments().items():
        if "-runner-" in name:
            assert services[name]["clusterIP"] == "None"
            assert selects(services[name]["selector"], labels(runner))


def test_only_api_and_workers_and_the_monitoring_reach_runners() -> None:
    policies = of_kind("NetworkPolicy", manifests(EXAMPLE, PASSWORD))
    for name, runner in deployments().items():
        if "-runner-" not in name:
            continue
        [policy] = [each for each in policies if selects(each["spec"]["podSelector"]["matchLabels"], labels(runner))]
        [rule] = policy["spec"]["ingress"]
        peers = [each["podSelector"]["matchLabels"] for each in rule["from"] if "podSelector" in each]
        allowed = {other for other, each in deployments().items() if any(selects(peer, labels(each)) for peer in peers)}
        assert allowed == {"try-transcription-api", "try-transcription-worker"}


def test_a_group_is_scaled_by_its_own_backlog() -> None:
    [scaled] = of_kind("ScaledObject", manifests(EXAMPLE, PASSWORD))
    [trigger] = scaled["spec"]["triggers"]

    assert scaled["spec"]["scaleTargetRef"]["name"] == "try-transcription-runner-large"
    assert "transcription_backlog_seconds" in trigger["metadata"]["query"]
    assert "try-transcription-runner-large-" in trigger["metadata"]["query"]


def autoscaler(*values: Path, of: str = "-runner-") -> Document:
    """That of a group of runners, or of the API."""
    found = of_kind("HorizontalPodAutoscaler", manifests(EXAMPLE, PASSWORD, *values))
    [scaled] = [each for each in found if of in each["metadata"]["name"]]
    kubernetes_validate.validate(scaled, NEWEST_KUBERNETES, strict=True)
    return scaled


def test_without_keda_a_group_on_cpus_is_scaled_by_the_use_of_its_cores() -> None:
    scaled = autoscaler()
    [metric] = scaled["spec"]["metrics"]

    assert scaled["spec"]["scaleTargetRef"]["name"] == "try-transcription-runner-base"
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}


def test_without_keda_a_group_on_gpus_is_scaled_by_the_backlog_of_its_pods(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("runners: {large: {scaling: {kind: hpa}}, base: {scaling: {enabled: false}}}")
    scaled = autoscaler(values)
    [metric] = scaled["spec"]["metrics"]

    assert scaled["spec"]["scaleTargetRef"]["name"] == "try-transcription-runner-large"
    assert metric["pods"]["metric"]["name"] == "transcription_backlog_seconds"
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "10"}


def test_the_api_is_scaled_by_its_requests_in_progress_as_well_if_asked_for(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("api: {autoscaling: {targetRequests: 300}}")
    [cpu, requests] = autoscaler(values, of="-api")["spec"]["metrics"]

    assert cpu == autoscaler(of="-api")["spec"]["metrics"][0]
    assert requests["pods"] == {
        "metric": {"name": "transcription_active"},
        "target": {"type": "AverageValue", "averageValue": "300"},
    }


def test_compose_gives_the_models_to_the_runner_alone() -> None:
    pool = load(DEPLOY / "compose" / "pool.yaml")["services"]

    assert set(pool) == {"api", "worker", "runner"}
    for client in ("api", "worker"):
        assert pool[client]["environment"]["RUNNER_URL"] == f"http://runner:{PORT}"
    assert pool["runner"]["networks"] == ["back", "front"]
    assert "ports" not in pool["runner"]
