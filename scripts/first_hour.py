"""Do what README.md says, as a new user would, in a clone of this repository, and print how long each step took.

`python3 -m scripts.first_hour [FILE]` needs git, make, curl and Python 3.11. The caches of uv and pip on this machine
are used. The clone has the last commit, not what is changed since.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = "samples/en-meeting.mp3"  # in the commands of README.md
ADDRESS = "localhost:3000"  # the same
CLIENTS = re.compile(r"^(.*):\n\n```(bash|python)\n((?:.*\n)*?)```", re.MULTILINE)
PYTHON = {
    "Python, OpenAI's client": ".venv/bin/uv run --quiet --no-project --with openai python",
    "Python, BentoML's client": ".venv/bin/python",
}
POLL_SECONDS = 0.1
START_SECONDS = 600.0  # in which the service is ready, its model downloaded


class Walk:
    """Steps one after the other. folder: the working folder. environment: variables beside those of this process."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment}
        self._started = time.monotonic()
        print("| Step | Seconds | Since the start |\n|---|---|---|", flush=True)

    def run(self, title: str, command: str) -> str:
        """Run a command, which must succeed, and return what it prints."""
        before = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{title}: `{command}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.note(title, before)
        return done.stdout

    def note(self, title: str, before: float) -> None:
        """Print the row of a step that began at `before`."""
        now = time.monotonic()
        print(f"| {title} | {now - before:.1f} | {now - self._started:.1f} |", flush=True)


def wait_for(url: str, key: str, value: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a JSON document at a URL has a value. Ends the program if the process ends first, or after minutes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url) as answer:  # http, to this machine
                if json.load(answer)[key] == value:
                    return
        except OSError:
            pass  # not listening, or not ready
        time.sleep(POLL_SECONDS)
    sys.exit(f"{url} did not say {key}: {value}")


def call_clients(walk: Walk, adapted: dict[str, str]) -> None:
    """Run the examples of README.md that a shell and Python can run. adapted: what is replaced in them, by what."""
    readme = (walk.folder / "README.md").read_text()
    for title, language, code in CLIENTS.findall(readme[readme.index("## One call from each client") :]):
        for old, new in adapted.items():
            code = code.replace(old, new)
        command = code if language == "bash" else f"{PYTHON[title]} - <<'END'\n{code}\nEND"
        if not walk.run(title, command).strip():
            sys.exit(f"{title}: no text")


def use_service(walk: Walk, recording: Path, model: str, port: int) -> None:
    """Start the service as README.md says, and call it in each way."""
    before = time.monotonic()
    url = f"http://localhost:{port}"
    log = walk.folder / "serve.log"
    with log.open("wb") as output:
        service = subprocess.Popen(
            ["make", "serve"],
            cwd=walk.folder,
            env=walk.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_for(f"{url}/health/ready", "status", "ready", service)
        walk.note(f"`make serve`, ready with {model}", before)
        file = shlex.quote(str(recording))
        text = walk.run(
            "Text of the file, by curl", f"curl -sf -F file=@{file} -F response_format=text {url}/transcribe"
        )
        call_clients(walk, {SAMPLE: str(recording), ADDRESS: f"localhost:{port}", "-m demo": f"-m {model}"})
        before = time.monotonic()
        job = json.loads(walk.run("A job is accepted", f"curl -sf -F file=@{file} -F async=true {url}/transcribe"))
        wait_for(f"{url}/status/{job['job_id']}", "status", "completed", service)
        walk.note("The job is completed", before)
        print(f"\n{text.strip()}")
    finally:
        os.killpg(service.pid, signal.SIGTERM)
        service.wait()


def main() -> None:
    """Clone, install, and use the service."""
    parser = argparse.ArgumentParser(prog="python3 -m scripts.first_hour", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / SAMPLE, help=f"recording; {SAMPLE} by default")
    parser.add_argument("--model", default="base", metavar="NAME", help="model of the service; base by default")
    parser.add_argument(
        "--container", action="store_true", help="also build and run the image: make image-test, as root"
    )
    options = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="first-hour-") as folder:
        home = Path(folder) / "files"
        environment = {
            "PORT": str(port),
            "WHISPER_MODEL": options.model,
            **{name: f"{home}/{name.lower()}" for name in ("BENTOML_HOME", "CACHE_DIR", "JOBS_DIR", "TEMP_DIR")},
            "WHISPER_MODEL_DIR": f"{home}/models",
        }
        walk = Walk(Path(folder), environment)
        walk.run("`git clone`", f"git clone --quiet {shlex.quote(str(ROOT))} clone")
        walk.folder = Path(folder) / "clone"
        walk.run("`make install`", "make install")
        walk.run("`make demo`", "make demo")
        use_service(walk, options.file.resolve(), options.model, port)
        if options.container:
            walk.run("`make image-test`: a container from build to stop", "make image-test")


if __name__ == "__main__":
    main()
