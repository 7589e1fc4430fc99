"""A visit to the page in a browser, and the service behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.service import ROOT, LocalService, local_service

SHORT = ROOT / "samples" / "en-meeting.mp3"
PATIENCE_MS = 180_000  # the limit of a failure; a quarter of an hour is transcribed in 10 s on an idle machine
OpenPage = Callable[..., "Visit"]


@dataclass(slots=True)
class Visit:
    """A page, what it asked for, who answered, and what it complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> set[str]:
        """Of all that it asked for."""
        return {host for host in map(host_of, self.asked) if host}

    def transcribe(self, recording: Path) -> None:
        """Choose a recording and send it."""
        self.page.set_input_files("#file", recording)
        self.page.get_by_role("button", name="Transcribe").click()

    def take_text(self) -> tuple[str, str]:
        """The text as the page copies it, and as it is downloaded. Needs the rights to the clipboard."""
        self.page.get_by_role("button", name="Copy the text").click()
        expect(self.page.locator("#note")).to_have_text("The text is copied.")
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name="Download", exact=True).click()
        copied: str = self.page.evaluate("navigator.clipboard.readText()")
        return copied, Path(waiting.value.path()).read_text(encoding="utf-8")

    def wait_until_done(self) -> None:
        self.page.wait_for_selector("#done", state="visible", timeout=PATIENCE_MS)


def violations(page: Page) -> list[str]:
    """What axe finds."""
    results = Axe().run(page)
    return [f"{each['id']}: {each['help']} {each['nodes'][0]['html']}" for each in results.response["violations"]]


def host_of(url: str) -> str:
    return "" if url.startswith(("blob:", "data:")) else urlsplit(url).netloc


def start(folder: Path, **settings: str) -> Iterator[LocalService]:
    environment = {
        "ENABLE_CACHE": "false",
        **settings,
    }
    with local_service(environment, folder / "log") as service:
        yield service
