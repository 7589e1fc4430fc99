"""GitHub's workflows, the hooks of pre-commit and the file for BentoCloud say what their readers understand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import attr
import pytest
import yaml
from _bentoml_sdk.service.config import validate as validate_service
from bentoml._internal.cloud.deployment import CreateDeploymentSchemaV2, DeploymentAPI
from bentoml._internal.utils.cattr import bentoml_cattr

from service import TranscriptionService
from tests.support.deployment import DEPLOY, OF_BENTOML, ROOT, SECRETS, SETTINGS, Document, load

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"
BENTOCLOUD = DEPLOY / "bentocloud" / "deployment.yaml"
MAJOR_VERSION = re.compile(r"[\w.-]+/[\w.-]+@v\d+")
MAKE = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


def jobs(path: Path) -> dict[str, Document]:
    found: dict[str, Document] = load(path)["jobs"]
    return found


def steps() -> list[Document]:
    return [step for path in WORKFLOWS for job in jobs(path).values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_valid(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_a_job_that_writes_says_what(path: Path) -> None:
    assert load(path)["permissions"] == {"contents": "read"}
    for name, job in jobs(path).items():
        written = {scope for scope, access in job.get("permissions", {}).items() if access == "write"}
        assert written == {"push": {"packages"}, "release": {"contents"}}.get(name, set())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_does_not_run_twice_at_once_nor_for_ever(path: Path) -> None:
    assert "github.ref" in load(path)["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 120 for job in jobs(path).values())


def test_actions_are_pinned_to_a_major_version() -> None:
    for step in steps():
        assert "uses" not in step or MAJOR_VERSION.fullmatch(step["uses"]), step


def test_a_checkout_leaves_no_token_behind() -> None:
    for step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_what_strangers_may_name_is_not_put_into_commands() -> None:
    """Names of branches and titles go through the environment, never through the text of a script."""
    for step in steps():
        assert "${{ github." not in step.get("run", "")


def test_workflows_make_what_the_makefile_has() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    made = {target for path in WORKFLOWS for target in MAKE.findall(commands_of(path))}
    assert {"check", "audit", "coverage", "tools", "bento"} <= made <= targets


def test_the_coverage_is_kept() -> None:
    (upload,) = [step for step in jobs(ROOT / ".github/workflows/ci.yml")["test"]["steps"] if "upload" in str(step)]
    assert upload["with"]["path"] == "coverage.xml"


def test_the_image_is_built_by_bentoml_with_a_cache_and_pushed_for_tags_only() -> None:
    for name, job in jobs(ROOT / ".github/workflows/image.yml").items():
        (command,) = [step["run"] for step in job["steps"] if "containerize" in step.get("run", "")]
        options = [after for word, after in pairwise(shlex.split(command)) if word == "--opt"]
        assert "cache-from=type=gha" in options
        assert ("push" in options) == (name == "push")
        assert "!startsWith" in job["if"] or name == "push"


def commands_of(path: Path) -> str:
    return "\n".join(step.get("run", "") for job in jobs(path).values() for step in job["steps"])


def hooks() -> list[Document]:
    repositories = load(HOOKS)["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    return [hook for repository in repositories for hook in repository["hooks"]]


def test_every_hook_runs_a_command_of_the_virtual_environment() -> None:
    for hook in hooks():
        command = Path(shlex.split(hook["entry"])[0])
        assert command.parent == Path(".venv/bin")
        assert (Path(sys.executable).parent / command.name).is_file()
        assert hook["language"] == "system"


def test_hooks_check_what_make_check_checks() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    tools = {Path(line.strip("\t@").split()[0]).name for line in recipe[1].splitlines()}
    assert tools <= {Path(shlex.split(hook["entry"])[0]).name for hook in hooks()}


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_a_hook_has_files_to_look_at(hook: Document) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    pattern = hook.get("files", r"\.pyi?$")
    assert any(re.search(pattern, name) for name in tracked)


def bentocloud() -> Document:
    return load(BENTOCLOUD)


def test_bentoml_understands_every_key_of_the_file_for_bentocloud() -> None:
    document = bentocloud()
    structured = bentoml_cattr.structure(document, CreateDeploymentSchemaV2)
    DeploymentAPI._fix_and_validate_schema(structured)
    assert unknown(document, attr.asdict(structured)) == []


def test_a_key_that_bentoml_does_not_know_would_be_found() -> None:
    structured = bentoml_cattr.structure({"bento": ".", "scalling": {}}, CreateDeploymentSchemaV2)
    assert unknown({"bento": ".", "scalling": {}}, attr.asdict(structured)) == ["scalling"]


def unknown(given: Any, understood: Any, path: str = "") -> list[str]:
    """Keys that are lost on the way through BentoML's schema, which drops what it does not know."""
    if isinstance(given, dict):
        lost = [f"{path}{key}" for key in given if key not in understood]
        pairs = [(value, understood[key], f"{path}{key}.") for key, value in given.items() if key in understood]
    elif isinstance(given, list):
        lost, pairs = [], [(value, understood[place], f"{path}{place}.") for place, value in enumerate(given)]
    else:
        return [] if given == understood else [path]
    return lost + [key for pair in pairs for key in unknown(*pair)]


def test_bentocloud_scales_the_services_that_there_are() -> None:
    dependencies = {dependency.on.name for dependency in TranscriptionService.dependencies.values()}
    assert set(bentocloud()["services"]) == {TranscriptionService.name} | dependencies


def test_settings_for_bentocloud_are_real_ones_and_no_secrets() -> None:
    lists = [bentocloud()["envs"], *(service.get("envs", []) for service in bentocloud()["services"].values())]
    named = {item["name"] for items in lists for item in items}
    assert named <= SETTINGS | OF_BENTOML
    assert not named & SECRETS


@pytest.mark.parametrize("name", bentocloud()["services"])
def test_configuration_for_bentocloud_is_one_that_services_have(name: str) -> None:
    validate_service(bentocloud()["services"][name].get("config_overrides", {}))


def test_the_file_for_yatai_has_the_fields_of_its_documentation() -> None:
    request, deployment = yaml.safe_load_all((DEPLOY / "yatai" / "deployment.yaml").read_text())
    assert (request["apiVersion"], request["kind"]) == ("resources.yatai.ai/v1alpha1", "BentoRequest")
    assert set(request["spec"]) == {"bentoTag"}
    assert (deployment["apiVersion"], deployment["kind"]) == ("serving.yatai.ai/v2alpha1", "BentoDeployment")
    assert deployment["spec"]["bento"] == request["metadata"]["name"]
    assert set(deployment["spec"]) <= {"bento", "ingress", "envs", "resources", "autoscaling", "runners"}
    assert {item["name"] for item in deployment["spec"]["envs"]} <= SETTINGS
