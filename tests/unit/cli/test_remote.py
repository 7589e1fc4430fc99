"""What the command sends to a server."""

from __future__ import annotations

from pathlib import Path

import httpx

from transcription.cli.remote import UploadedFile


def test_of_a_file_that_grows_is_sent_what_was_there_first(tmp_path: Path) -> None:
    path = tmp_path / "talk.wav"
    path.write_bytes(b"sound")
    shares: list[float | None] = []
    with path.open("rb") as file:
        upload = UploadedFile(file, 5, lambda _, share: shares.append(share))
        with path.open("ab") as more:
            more.write(b" and more")
        request = httpx.Request("POST", "http://localhost", files={"file": ("talk.wav", upload)})  # type: ignore[dict-item]
        body = request.read()
    assert b"\r\n\r\nsound\r\n" in body
    assert int(request.headers["content-length"]) == len(body)
    assert shares[-1] == 1.0
