"""The checks of dependencies for vulnerabilities and licences."""

import json

import pytest

from scripts.audit import judge
from scripts.licences import LOCK, is_allowed, locked_packages


def audit_output(*vulns):
    return json.dumps({"dependencies": [{"name": "left-pad", "version": "1.0", "vulns": list(vulns)}], "fixes": []})


def test_packages_without_vulnerabilities_pass():
    assert not judge(audit_output(), "").failed


def test_a_known_vulnerability_fails_with_a_remedy():
    verdict = judge(audit_output({"id": "PYSEC-1", "fix_versions": ["1.1"]}), "Found 1 known vulnerability")
    assert verdict.failed
    assert "left-pad 1.0: PYSEC-1, fixed in 1.1" in verdict.message
    assert "make lock" in verdict.message


UNKNOWN = {"name": "left-pad", "skip_reason": "Dependency not found on PyPI and could not be audited: left-pad (1.0)"}
SOUND = {"name": "right-pad", "version": "1.0", "vulns": []}


def test_an_index_without_vulnerability_data_is_reported():
    verdict = judge(json.dumps({"dependencies": [UNKNOWN], "fixes": []}), "No known vulnerabilities found")
    assert "nothing was checked" in verdict.message


def test_packages_that_were_not_checked_are_named():
    verdict = judge(json.dumps({"dependencies": [SOUND, UNKNOWN], "fixes": []}), "")
    assert verdict.message.startswith("No known vulnerabilities in 1 packages. Not checked")
    assert "left-pad" in verdict.message


@pytest.mark.parametrize(
    "errors",
    [
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(...): Max retries exceeded",
        "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed",
        "ERROR:pip_audit._cli:403 Client Error: Forbidden",
    ],
)
def test_an_unreachable_database_is_reported_and_passes(errors):
    verdict = judge("", errors)
    assert not verdict.failed
    assert "nothing was checked" in verdict.message


@pytest.mark.parametrize("output", ["", "null", "{}", "no JSON"])
def test_any_other_output_fails(output):
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
def test_a_licence_expression_is_allowed_or_refused(licence, allowed):
    assert is_allowed(licence) is allowed


def test_every_package_that_is_deployed_is_checked():
    names = locked_packages(LOCK.read_text())
    assert {"bentoml", "faster-whisper", "ctranslate2", "fastapi"} <= set(names)
    assert "schemathesis" not in names
