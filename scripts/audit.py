"""Ask for known weaknesses of everything that is served, by requirements.lock: `python -m scripts.audit`.

Fails when there are some. Where nobody can be asked it says so and passes: a machine without a network is no weakness.
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
PATIENCE_SECONDS = 60
# What requests and urllib3 say when nobody answers.
OUT_OF_REACH = (
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
    """What to say, and whether it is a failure."""

    failed: bool
    message: str


def judge(answer: str, complaints: str) -> Verdict:
    """What pip-audit's output means. answer: its JSON, if it came so far. complaints: what it wrote beside."""
    try:
        packages = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        if any(text in complaints for text in OUT_OF_REACH):
            return Verdict(False, "The list of known weaknesses is out of reach: nothing was checked.")
        return Verdict(True, f"pip-audit failed:\n{complaints.strip()}")
    weak = [_line(package, found) for package in packages for found in package.get("vulns", ())]
    if weak:
        return Verdict(True, "Known weaknesses; raise the versions with make lock:\n" + "\n".join(weak))
    unchecked = [package["name"] for package in packages if "skip_reason" in package]
    if len(unchecked) == len(packages):
        return Verdict(False, "The index answers without a list of known weaknesses: nothing was checked.")
    but = f" Not checked, because the index does not know them: {', '.join(unchecked)}." if unchecked else ""
    return Verdict(False, f"No known weaknesses in {len(packages) - len(unchecked)} packages.{but}")


def _line(package: dict[str, str], found: dict[str, Any]) -> str:
    fixed = ", ".join(found["fix_versions"]) or "no version"
    return f"  {package['name']} {package['version']}: {found['id']}, fixed in {fixed}"


def main() -> int:
    """Returns the exit code."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        verdict = judge(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        verdict = judge("", "timed out")
    print(verdict.message)
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
