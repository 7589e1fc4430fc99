"""Every manifest that the Helm chart makes is valid, and pods run as docs/DEPLOYMENT.md says."""

from __future__ import annotations

from pathlib import Path

import kubernetes_validate
import pytest

from tests.support.deployment import (
    EXAMPLES,
    OF_BENTOML,
    ROOT,
    SECRETS,
    SETTINGS,
    Document,
    containers,
    lint,
    load,
    manifests,
    of_kind,
    pod_labels,
    selects,
    workloads,
)

FIXTURES = ROOT / "tests" / "fixtures" / "chart"
PASSWORD = FIXTURES / "password.yaml"
VARIANTS = {path.stem: (path, PASSWORD) for path in [*EXAMPLES, FIXTURES / "plain.yaml"]}
OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.27", "1.34"
OTHERS = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}  # checked in test_deploy_operators.py
OF_THE_CHART = {"REDIS_PASSWORD", "REDISCLI_AUTH"}

Documents = tuple[Document, ...]


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def documents(variant: str) -> Documents:
    return manifests(*VARIANTS[variant])


def test_helm_lints_the_chart_without_a_warning(variant: str) -> None:
    assert lint(*VARIANTS[variant]) == []


def test_what_is_wrong_with_values_would_be_found_by_helm(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("worker: {replicas: many}")
    assert "got string, want" in str(lint(*VARIANTS["minimal"], tmp_path / "values.yaml"))


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
def test_every_manifest_is_valid_for_kubernetes(documents: Documents, version: str) -> None:
    for document in documents:
        if document["apiVersion"] not in OTHERS:
            kubernetes_validate.validate(document, version, strict=True)


def test_no_two_manifests_have_the_same_name(documents: Documents) -> None:
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(names) == len(set(names))


def test_everything_is_labelled_with_the_release(documents: Documents) -> None:
    for document in documents:
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "try"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_the_service_answers_for_its_names_in_the_cluster_and_for_that_of_the_ingress(tmp_path: Path) -> None:
    keda = VARIANTS["keda"]
    assert allowed_hosts(manifests(*keda)) == ["try-transcription.speech", "transcription.example.com"]
    assert allowed_hosts(manifests(*VARIANTS["minimal"])) == ["try-transcription.speech"]
    (tmp_path / "more.yaml").write_text("settings: {ALLOWED_HOSTS: speech.example.org}")
    assert allowed_hosts(manifests(*keda, tmp_path / "more.yaml"))[2:] == ["speech.example.org"]


def allowed_hosts(documents: Documents) -> list[str]:
    """ALLOWED_HOSTS of the API."""
    [settings] = [each["data"] for each in of_kind("ConfigMap", documents) if "JOB_BACKEND" in each["data"]]
    return str(settings["ALLOWED_HOSTS"]).split(",")


def test_no_container_runs_as_root_or_writes_to_its_root(documents: Documents) -> None:
    for pod, container in containers(documents):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 100
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


def test_no_pod_gets_a_token_of_the_cluster_or_variables_of_its_services(documents: Documents) -> None:
    for pod, _ in containers(documents):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False


def test_every_container_has_requests_and_limits(documents: Documents) -> None:
    for _, container in containers(documents):
        for kind in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"][kind])


def test_every_folder_that_settings_name_is_on_a_volume(documents: Documents) -> None:
    folders = settings_of(documents)
    for _, container in containers(documents):
        if container["name"] == "redis":
            continue
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        written = ["BENTOML_HOME", "CACHE_DIR", "JOBS_DIR", "TEMP_DIR"]
        if container["name"] != "exporter":
            written.append("WHISPER_MODEL_DIR")
        own = {item["name"]: item.get("value", "") for item in container["env"]}
        for name in written:
            folder = own.get(name, folders[name])
            assert any(Path(folder).is_relative_to(mount) for mount in mounts), (container["name"], name)


def test_uploads_are_on_the_disk_of_jobs_and_not_in_memory(documents: Documents) -> None:
    folders = settings_of(documents)
    assert Path(folders["TEMP_DIR"]).parent == Path(folders["JOBS_DIR"]).parent
    for workload in workloads(documents):
        for volume in workload["spec"]["template"]["spec"].get("volumes", []):
            assert volume.get("emptyDir", {}).get("medium") != "Memory"


def test_every_mount_has_its_volume(documents: Documents) -> None:
    for workload in workloads(documents):
        pod = workload["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_what_pods_may_fill_stays_under_their_limit(documents: Documents) -> None:
    for pod, container in containers(documents):
        sizes = [volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume]
        if container["name"] in ("api", "worker"):
            assert sum(map(gibibytes, sizes)) < gibibytes(container["resources"]["limits"]["ephemeral-storage"])


def test_every_variable_is_a_setting(documents: Documents) -> None:
    named = set(settings_of(documents))
    for _, container in containers(documents):
        named |= {item["name"] for item in container["env"]}
    assert named - SETTINGS - OF_BENTOML - OF_THE_CHART == set()


def test_the_chart_decides_for_celery_and_redis(documents: Documents) -> None:
    assert settings_of(documents)["JOB_BACKEND"] == "celery"
    for _, container in containers(documents):
        if container["name"] == "redis":
            continue
        sources = [source["secretRef"]["name"] for source in container["envFrom"] if "secretRef" in source]
        assert sources or any(item["name"] == "REDIS_URL" for item in container["env"])


def test_no_secret_is_in_a_config_map_or_in_the_open(documents: Documents) -> None:
    for document in of_kind("ConfigMap", documents):
        assert not SECRETS & set(document["data"])
    for _, container in containers(documents):
        for item in container["env"]:
            if item["name"] in SECRETS | OF_THE_CHART:
                assert "valueFrom" in item or "$(REDIS_PASSWORD)" in item["value"]


def test_secrets_and_config_maps_that_pods_name_are_there_or_the_operators(documents: Documents, variant: str) -> None:
    made = {document["metadata"]["name"] for document in of_kind("Secret", documents) + of_kind("ConfigMap", documents)}
    values = load(VARIANTS[variant][0])
    given = {values.get("secrets", {}).get("existingSecret"), values.get("redis", {}).get("existingSecret")}
    for _, container in containers(documents):
        for source in container.get("envFrom", []):
            (reference,) = source.values()
            assert reference["name"] in made | given
        for item in container["env"]:
            if "valueFrom" in item:
                assert item["valueFrom"]["secretKeyRef"]["name"] in made | given


def test_numbers_stay_what_they_were() -> None:
    data = settings_of(manifests(*VARIANTS["plain"]))
    assert data["MAX_FILE_SIZE"] == "1073741824"
    assert data["ENABLE_API_KEY"] == "true"


def test_every_selector_selects_the_pods_of_one_workload(documents: Documents) -> None:
    labels = pod_labels(documents)
    selectors = [workload["spec"]["selector"]["matchLabels"] for workload in workloads(documents)]
    selectors += [service["spec"]["selector"] for service in of_kind("Service", documents)]
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        selectors += [document["spec"][key]["matchLabels"] for document in of_kind(kind, documents)]
    for selector in selectors:
        assert len([pod for pod in labels if selects(selector, pod)]) == 1, selector


def test_ports_that_are_named_are_ports_of_the_container(documents: Documents) -> None:
    for _, container in containers(documents):
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for how in ("httpGet", "tcpSocket"):
                if how in container.get(probe, {}):
                    assert container[probe][how]["port"] in ports
    everything = {port["name"] for _, container in containers(documents) for port in container["ports"]}
    for service in of_kind("Service", documents):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= everything


def test_what_is_scaled_is_there_and_says_no_number_of_its_own(documents: Documents) -> None:
    scaled = of_kind("HorizontalPodAutoscaler", documents) + of_kind("ScaledObject", documents)
    deployments = {document["metadata"]["name"]: document for document in of_kind("Deployment", documents)}
    targets = [document["spec"]["scaleTargetRef"]["name"] for document in scaled]
    assert len(targets) == len(set(targets))
    for name, deployment in deployments.items():
        assert ("replicas" in deployment["spec"]) == (name not in targets)
    assert set(targets) <= set(deployments)


def test_pods_get_longer_to_end_than_they_need(documents: Documents) -> None:
    for pod, container in containers(documents):
        if container["name"] in ("api", "worker"):
            assert pod["terminationGracePeriodSeconds"] >= 60


def test_a_gpu_is_asked_for_only_by_workers_that_use_one(documents: Documents) -> None:
    for _, container in containers(documents):
        device = {item["name"]: item.get("value") for item in container["env"]}.get("WHISPER_DEVICE")
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (device == "cuda")


def test_only_our_pods_reach_redis(documents: Documents, variant: str) -> None:
    policies = [item for item in of_kind("NetworkPolicy", documents) if item["metadata"]["name"].endswith("-redis")]
    values = load(VARIANTS[variant][0])
    own = values.get("redis", {}).get("enabled", True) and values.get("networkPolicy", {}).get("enabled", True)
    assert len(policies) == int(own)
    for policy in policies:
        (rule,) = policy["spec"]["ingress"]
        components = {peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]}
        assert components == {"api", "worker", "exporter"}
        assert policy["spec"]["egress"] == []


def settings_of(documents: Documents) -> dict[str, str]:
    """The ConfigMap that holds the settings."""
    (found,) = [document for document in of_kind("ConfigMap", documents) if "JOB_BACKEND" in document["data"]]
    data: dict[str, str] = found["data"]
    return data


def gibibytes(quantity: str) -> float:
    assert quantity.endswith(("Gi", "Mi"))
    return float(quantity[:-2]) / (1 if quantity.endswith("Gi") else 1024)
