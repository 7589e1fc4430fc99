"""What the checks of dependencies make of what they read."""

import json

import pytest

from scripts.audit import judge
from scripts.licences import LOCK, is_allowed, locked_packages


def answer(*vulns):
    return json.dumps({"dependencies": [{"name": "left-pad", "version": "1.0", "vulns": list(vulns)}], "fixes": []})


def test_nothing_known_is_fine():
    assert not judge(answer(), "").failed


def test_a_known_weakness_fails_and_says_what_to_do():
    verdict = judge(answer({"id": "PYSEC-1", "fix_versions": ["1.1"]}), "Found 1 known vulnerability")
    assert verdict.failed
    assert "left-pad 1.0: PYSEC-1, fixed in 1.1" in verdict.message
    assert "make lock" in verdict.message


UNKNOWN = {"name": "left-pad", "skip_reason": "Dependency not found on PyPI and could not be audited: left-pad (1.0)"}
SOUND = {"name": "right-pad", "version": "1.0", "vulns": []}


def test_an_index_without_a_list_is_not_taken_for_one_without_weaknesses():
    verdict = judge(json.dumps({"dependencies": [UNKNOWN], "fixes": []}), "No known vulnerabilities found")
    assert "nothing was checked" in verdict.message


def test_what_the_index_does_not_know_is_named():
    verdict = judge(json.dumps({"dependencies": [SOUND, UNKNOWN], "fixes": []}), "")
    assert verdict.message.startswith("No known weaknesses in 1 packages. Not checked")
    assert "left-pad" in verdict.message


@pytest.mark.parametrize(
    "complaint",
    [
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(...): Max retries exceeded",
        "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed",
        "ERROR:pip_audit._cli:403 Client Error: Forbidden",
    ],
)
def test_a_list_out_of_reach_is_said_and_passes(complaint):
    verdict = judge("", complaint)
    assert not verdict.failed
    assert "nothing was checked" in verdict.message


@pytest.mark.parametrize("output", ["", "null", "{}", "no JSON"])
def test_any_other_failure_fails(output):
    assert judge(output, "usage: pip-audit").failed


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT License", True),
        ("BSD-3-Clause AND 0BSD AND MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
        ("PERMITTED", False),
        ("", False),
    ],
)
def test_a_licence_is_on_the_list_or_not(licence, allowed):
    assert is_allowed(licence) is allowed


def test_every_locked_package_is_looked_at():
    names = locked_packages(LOCK.read_text())
    assert {"bentoml", "faster-whisper", "ctranslate2", "fastapi"} <= set(names)
    assert "schemathesis" not in names
