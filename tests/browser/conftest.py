"""The page in a real Chromium, with a real service behind it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, expect, sync_playwright

from tests.support.browser import PATIENCE_MS, SHORT, OpenPage, Visit, host_of, start
from tests.support.media_files import run_ffmpeg
from tests.support.service import LocalService

LONG_SECONDS = 900
PAUSE_SECONDS = 1.5  # between two takes of what is spoken into the microphone
Launch = Callable[[Path, Path], Browser]  # the recording, and a folder to keep its copy in


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    yield from start(tmp_path_factory.mktemp("site"), JOB_RETRIES="0")


# Not for the session: while Playwright runs, no other test of this thread can have an event loop of its own.
@pytest.fixture(scope="package")
def launch() -> Iterator[Launch]:
    """Start Chromium, into whose microphone a recording is spoken again and again, with a pause."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs chromium: make tools installs it where there are Debian's packages")
    expect.set_options(timeout=PATIENCE_MS)
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # Chromium has none for root
    with sync_playwright() as playwright:

        def start_with(recording: Path, folder: Path) -> Browser:
            said = folder / "said.wav"
            run_ffmpeg("-i", str(recording), "-af", f"apad=pad_dur={PAUSE_SECONDS}", "-ar", "48000", str(said))
            microphone = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={said}"]
            return playwright.chromium.launch(executable_path=chromium, args=[*sandbox, *microphone])

        yield start_with


@pytest.fixture(scope="package")
def browser(launch: Launch, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return launch(SHORT, tmp_path_factory.mktemp("microphone"))


@pytest.fixture
def visit(browser: Browser, site: LocalService) -> Iterator[OpenPage]:
    """Open the page in a browser without history. Options are those of a browser context."""
    contexts = []

    def open_page(service: LocalService = site, path: str = "/ui", **options: object) -> Visit:
        context = browser.new_context(accept_downloads=True, **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        visited = Visit(context.new_page())

        def note(message: ConsoleMessage) -> None:
            if message.type == "error" and "status of" not in message.text:  # those are answers, tested elsewhere
                visited.complaints.append(message.text)

        visited.page.on("console", note)
        visited.page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        context.on("request", lambda request: visited.asked.append(request.url))
        context.on("response", lambda answer: visited.reached.update({host_of(answer.url)} - {""}))
        visited.page.goto(service.url + path)
        return visited

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of an hour, in which the same is not said in a row."""
    folder = tmp_path_factory.mktemp("long")
    samples = [SHORT.with_name(name) for name in ("en-day.m4a", "en-meeting.mp3", "es-reunion.ogg", "fr-reunion.wav")]
    once = folder / "once.mp3"
    inputs = [part for path in samples for part in ("-i", str(path))]
    joined, codec = f"concat=n={len(samples)}:v=0:a=1", ("-ac", "1", "-ar", "16000", "-b:a", "32k")
    run_ffmpeg(*inputs, "-filter_complex", joined, *codec, str(once))
    path = folder / "long.mp3"
    run_ffmpeg("-stream_loop", "-1", "-i", str(once), "-t", str(LONG_SECONDS), "-c", "copy", str(path))
    return path
