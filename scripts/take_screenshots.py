"""Take the screenshots in docs/PAGE.md: `python -m scripts.take_screenshots`. Needs chromium (`make tools`)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.media_files import run_ffmpeg
from tests.support.service import ROOT, local_service

IMAGES = ROOT / "docs" / "images"
SAMPLES = ROOT / "samples"
CONVERSATION = ROOT / "tests" / "data" / "diarization" / "two-speakers.ogg"
WIDE, NARROW = {"width": 800, "height": 900}, {"width": 360, "height": 760}
PICTURES = {
    "page-light": ("light", WIDE),
    "page-dark": ("dark", WIDE),
    "page-phone": ("light", NARROW),
}
# 256 colours are enough, and a third of the bytes.
PALETTE = "split[a][b];[a]palettegen[colours];[b][colours]paletteuse=dither=none"
NAMES = {"SPEAKER_00": "Ann", "SPEAKER_01": "Bo"}


def send(page: Page, *recordings: Path) -> None:
    """Transcribe recordings, and open the first."""
    page.set_input_files("#file", recordings)
    page.get_by_role("button", name="Transcribe").click()
    page.locator("#jobs .state", has_text="completed").nth(len(recordings) - 1).wait_for()
    if page.locator("#work").is_hidden():
        page.get_by_role("button", name=f"Open {recordings[0].name}").click()
    page.wait_for_selector("#done", state="visible")


def with_speakers(page: Page) -> None:
    """A conversation whose speakers have names, with one word highlighted."""
    page.locator("#speakers").select_option("voices")
    send(page, CONVERSATION)
    for label, name in NAMES.items():
        page.get_by_label(f"Name of {label}").fill(name)
        page.keyboard.press("Enter")
        page.get_by_label(f"Name of {name}").wait_for()
    page.locator(".word").nth(1).click()
    page.wait_for_selector(".word[aria-current]")
    page.evaluate("document.getElementById('player').pause()")


def being_corrected(page: Page) -> None:
    """Several recordings, one of them in the editor."""
    send(page, *(SAMPLES / name for name in ("en-day.m4a", "en-meeting.mp3", "fr-reunion.wav")))
    page.get_by_role("button", name="Correct the text").click()
    page.get_by_label("Find", exact=True).fill("the")
    page.get_by_role("button", name="report", exact=True).click(position={"x": 1, "y": 8})
    page.keyboard.type("annual ")


def take(browser: Browser, url: str, name: str) -> None:
    """One screenshot of the page."""
    scheme, size = PICTURES[name]
    with browser.new_context(color_scheme=scheme, viewport=size) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{url}/ui")
        if scheme == "dark":
            being_corrected(page)
        else:
            with_speakers(page)
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)  # the waveform is drawn
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "whole.png"
            page.screenshot(path=whole, full_page=True)
            run_ffmpeg("-i", str(whole), "-filter_complex", PALETTE, str(IMAGES / f"{name}.png"))
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
