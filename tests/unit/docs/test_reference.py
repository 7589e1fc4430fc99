"""The documents name what the code has."""

import json
import re
from pathlib import Path

import pytest
from annotated_types import Ge, Le

from transcription.api.parameters.parsing import NAMES
from transcription.core.settings import Settings
from transcription.core.transcript import Reason

ROOT = Path(__file__).resolve().parents[3]
SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for folder in ("formats", "runners", "transcription")
    for path in (ROOT / folder).rglob("*.py")
)
SETTINGS = [(name.upper(), field.description) for name, field in Settings.model_fields.items()]


@pytest.mark.parametrize(("variable", "description"), SETTINGS)
def test_every_setting_is_in_the_configuration_guide(variable, description):
    lines = (ROOT / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in lines if line.startswith(f"| `{variable}` |")]
    assert row.endswith(f"| {description} |")


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_a_range_which_is_in_the_configuration_guide(name):
    limits = Settings.model_fields[name].metadata
    [low] = [limit.ge for limit in limits if isinstance(limit, Ge)]
    [high] = [limit.le for limit in limits if isinstance(limit, Le)]
    guide = (ROOT / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8")
    assert f"\n| {low} | `{name.upper()}` | {high} |\n" in guide


@pytest.mark.parametrize(("variable", "description"), SETTINGS)
def test_every_setting_is_in_the_template_of_the_dotenv_file(variable, description):
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert f"\n# {description}\n{variable}=" in text or f"\n# {description}\n#{variable}=" in text


@pytest.mark.parametrize("name", [*NAMES, *Reason])
def test_every_parameter_and_every_hallucination_reason_is_in_a_table_of_the_api_guide(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "API.md").read_text(encoding="utf-8")


def test_every_log_event_of_the_operators_guide_is_logged_somewhere():
    guide = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    table = guide.partition("| Message | Level | Fields |\n")[2].partition("\n\n")[0]
    events = {event for row in table.splitlines()[1:] for event in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert len(events) > 10
    assert sorted(event for event in events if f'"{event}"' not in SOURCES) == []


def test_the_lock_files_name_no_registry_and_no_host():
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / lock).read_text()
        assert "://" not in text
        assert "index-url" not in text


def test_every_locked_package_is_pinned_and_hashed():
    for lock in ("requirements.lock", "requirements-dev.lock"):
        requirements = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
        packages = [line for line in requirements if line and not line.startswith((" ", "#"))]
        assert packages
        assert all("==" in line and "--hash=sha256:" in line for line in packages)


def test_the_npm_packages_are_pinned_and_hashed_and_name_no_registry():
    lock = json.loads((ROOT / "tests" / "support" / "typescript" / "package-lock.json").read_text())
    root, *packages = lock["packages"].values()
    assert all(version[0].isdigit() for version in root["devDependencies"].values())
    assert all(package["version"] and package["integrity"].startswith("sha512-") for package in packages)
    assert not any("resolved" in package for package in packages)


def test_torch_is_not_in_the_default_install():
    assert "\ntorch==" not in (ROOT / "requirements.lock").read_text()
