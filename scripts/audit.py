"""Check requirements.lock for known vulnerabilities: `python -m scripts.audit`.

Fails if there are any. If the vulnerability database cannot be reached, it says so and passes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
COMMAND = (
    *(sys.executable, "-m", "pip_audit"),
    *("--requirement", str(LOCK), "--disable-pip", "--no-deps"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
)
TIMEOUT_SECONDS = 60
# Parts of the messages of requests and urllib3 when the database cannot be reached.
UNREACHABLE = (
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "Max retries",
    "NameResolution",
    "timed out",
    "Could not connect",
    "Client Error",
    "Server Error",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The message to print, and whether the audit failed."""

    failed: bool
    message: str


def judge(output: str, errors: str) -> Verdict:
    """The verdict on a run of pip-audit. output: its JSON, or empty if it failed. errors: its standard error."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if any(text in errors for text in UNREACHABLE):
            return Verdict(False, "The vulnerability database cannot be reached: nothing was checked.")
        return Verdict(True, f"pip-audit failed:\n{errors.strip()}")
    vulnerable = [_line(package, found) for package in packages for found in package.get("vulns", ())]
    if vulnerable:
        return Verdict(True, "Known vulnerabilities; raise the versions and run make lock:\n" + "\n".join(vulnerable))
    unchecked = [package["name"] for package in packages if "skip_reason" in package]
    if len(unchecked) == len(packages):
        return Verdict(False, "The package index provides no vulnerability data: nothing was checked.")
    skipped = f" Not checked, because the index does not list them: {', '.join(unchecked)}." if unchecked else ""
    return Verdict(False, f"No known vulnerabilities in {len(packages) - len(unchecked)} packages.{skipped}")


def _line(package: dict[str, str], found: dict[str, Any]) -> str:
    fixed = ", ".join(found["fix_versions"]) or "no version"
    return f"  {package['name']} {package['version']}: {found['id']}, fixed in {fixed}"


def main() -> int:
    """Run the audit; returns the exit code."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        verdict = judge(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        verdict = judge("", "timed out")
    print(verdict.message)
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
