"""docs/DEPLOYMENT.md names values of the chart and commands of BentoML that exist."""

from __future__ import annotations

import re
import tomllib

import bentoml_cli.cli
import click
import pytest

from tests.support.deployment import CHART, DEPLOY, ROOT, load

GUIDE = ROOT / "docs" / "DEPLOYMENT.md"
TEXT = GUIDE.read_text()
SET = re.compile(r"--set ([\w.]+)=")
BENTOML = re.compile(r"^(?:\.venv/bin/)?bentoml (\w+)(?: (create|login))?(.*)$", re.MULTILINE)
OPTION = re.compile(r"--[a-z-]+")


@pytest.mark.parametrize("name", sorted(set(SET.findall(TEXT))))
def test_every_value_that_is_set_exists_in_the_chart(name: str) -> None:
    values = load(CHART / "values.yaml")
    for part in name.split("."):
        assert part in values
        values = values[part]


@pytest.mark.parametrize(("verb", "second", "rest"), BENTOML.findall(TEXT))
def test_the_commands_and_options_of_bentoml_exist(verb: str, second: str, rest: str) -> None:
    command = bentoml_cli.cli.create_bentoml_cli().get_command(click.Context(click.Command("bentoml")), verb)
    if second:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), second)
    assert command
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(OPTION.findall(rest)) <= known


def test_the_table_of_examples_is_complete() -> None:
    for path in (DEPLOY / "helm" / "examples").glob("*.yaml"):
        assert f"](../deploy/helm/examples/{path.name})" in TEXT


def test_the_gpu_image_installs_the_packages_of_the_extra() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["gpu"]
    (line,) = [line for line in TEXT.splitlines() if line.startswith("RUN uv pip install")]
    assert sorted(line.replace("'", "").split()[-len(extra) :]) == sorted(extra)
