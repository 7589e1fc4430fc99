"""The documents name what the code has."""

from pathlib import Path

import pytest

from transcription.api.parameters.parsing import NAMES
from transcription.core.settings import Settings
from transcription.core.transcript import Reason

ROOT = Path(__file__).resolve().parents[3]
VARIABLES = [name.upper() for name in Settings.model_fields]


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("document", ["docs/OPERATIONS.md", ".env.example"])
def test_every_setting_is_documented(document, variable):
    assert variable in (ROOT / document).read_text()


@pytest.mark.parametrize("name", [*NAMES, *Reason])
def test_every_parameter_and_every_reason_to_drop_text_is_in_a_table_of_the_readme(name):
    assert f"| `{name}` |" in (ROOT / "README.md").read_text()


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


def test_torch_is_not_in_the_default_install():
    assert "\ntorch==" not in (ROOT / "requirements.lock").read_text()
