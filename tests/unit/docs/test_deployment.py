"""docs/DEPLOYMENT.md names files, targets, values and commands that there are."""

from __future__ import annotations

import re
import tomllib

import bentoml_cli.cli
import click
import pytest

from tests.support.deployment import CHART, DEPLOY, ROOT, load

GUIDE = ROOT / "docs" / "DEPLOYMENT.md"
TEXT = GUIDE.read_text()
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
PATH = re.compile(r"(?<![\w/.])((?:deploy|tests|scripts|docs|\.github)/[\w./-]*\w)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z]+)\b")
SET = re.compile(r"--set ([\w.]+)=")
BENTOML = re.compile(r"^(?:\.venv/bin/)?bentoml (\w+)(?: (create|login))?(.*)$", re.MULTILINE)
OPTION = re.compile(r"--[a-z-]+")


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


@pytest.mark.parametrize(("file", "anchor"), sorted(set(LINK.findall(TEXT))))
def test_a_link_leads_somewhere(file: str, anchor: str) -> None:
    target = (GUIDE.parent / file).resolve() if file else GUIDE
    assert target.exists()
    assert not anchor or anchor in anchors(target.read_text())


@pytest.mark.parametrize("path", sorted(set(PATH.findall(TEXT))))
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists() or list(ROOT.glob(path + "*"))


def test_targets_of_make_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(TEXT)) <= targets


@pytest.mark.parametrize("name", sorted(set(SET.findall(TEXT))))
def test_a_value_that_is_set_is_one_of_the_chart(name: str) -> None:
    values = load(CHART / "values.yaml")
    for part in name.split("."):
        assert part in values
        values = values[part]


@pytest.mark.parametrize(("verb", "second", "rest"), BENTOML.findall(TEXT))
def test_bentoml_has_the_commands_and_the_options(verb: str, second: str, rest: str) -> None:
    command = bentoml_cli.cli.create_bentoml_cli().get_command(click.Context(click.Command("bentoml")), verb)
    if second:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), second)
    assert command
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(OPTION.findall(rest)) <= known


def test_every_example_of_the_chart_is_in_its_table() -> None:
    for path in (DEPLOY / "helm" / "examples").glob("*.yaml"):
        assert f"](../deploy/helm/examples/{path.name})" in TEXT


def test_the_image_for_gpus_has_what_the_extra_has() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["gpu"]
    (line,) = [line for line in TEXT.splitlines() if line.startswith("RUN uv pip install")]
    assert sorted(line.replace("'", "").split()[-len(extra) :]) == sorted(extra)
