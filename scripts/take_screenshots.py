"""Take the screenshots in docs/PAGE.md: `python -m scripts.take_screenshots`. Needs chromium (`make tools`)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.service import ROOT, local_service

IMAGES = ROOT / "docs" / "images"
RECORDING = ROOT / "samples" / "en-day.m4a"
WIDE, NARROW = {"width": 800, "height": 900}, {"width": 360, "height": 760}
PICTURES = {
    "page-light": ("light", WIDE),
    "page-dark": ("dark", WIDE),
    "page-phone": ("light", NARROW),
}


def take(browser: Browser, url: str, name: str) -> None:
    """One screenshot of the page with a finished transcript and one word highlighted."""
    scheme, size = PICTURES[name]
    with browser.new_context(color_scheme=scheme, viewport=size) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{url}/ui")
        page.set_input_files("#file", RECORDING)
        page.get_by_role("button", name="Transcribe").click()
        page.wait_for_selector("#done", state="visible")
        page.get_by_role("button", name="report", exact=True).click()
        page.wait_for_selector(".word[aria-current]")
        page.evaluate("document.getElementById('player').pause()")
        page.mouse.move(0, 0)
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
        print(f"docs/images/{name}.png")


def main() -> None:
    """Take all screenshots."""
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("chromium is not installed. Run make tools.")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = {"WHISPER_MODEL": "demo", "TEMP_DIR": f"{folder}/uploads", "CACHE_DIR": f"{folder}/cache"}
        browser = playwright.chromium.launch(executable_path=chromium, args=[] if os.getuid() else ["--no-sandbox"])
        with local_service(settings, Path(folder) / "log") as service:
            for name in PICTURES:
                take(browser, service.url, name)


if __name__ == "__main__":
    main()
