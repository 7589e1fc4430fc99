"""Measure how fast jobs are accepted and their status is returned while the model is busy.

`python -m benchmarks.jobs` starts the service with the embedded model, sends large uploads as jobs, fills the queue,
and requests the status of jobs meanwhile. It prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from benchmarks.clips import speech, write_clip
from benchmarks.load import API, resident, service_processes
from benchmarks.report import percentile, table
from tests.support.service import LocalService, local_service
from transcription.core.audio import SAMPLE_RATE

BLOCK = 1 << 20
WAV_HEADER = 44  # bytes
BYTES_PER_SECOND = 2 * SAMPLE_RATE
MB = 1_000_000
MEMORY_POLL_SECONDS = 0.05
TIMEOUT = 120.0


def accept_seconds(url: str, path: Path) -> tuple[float, str]:
    """Seconds from the last byte of an upload to the response, and the job's id."""
    address = urlsplit(url)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)
    connection.putrequest("POST", "/transcribe?async=true")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Cache-Control", "no-store")
    connection.putheader("Content-Length", str(len(head) + path.stat().st_size + len(b"\r\n--b--\r\n")))
    connection.endheaders(head)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            connection.send(block)
    connection.send(b"\r\n--b--\r\n")
    started = time.perf_counter()
    answer = connection.getresponse()
    document = json.loads(answer.read())
    seconds = time.perf_counter() - started
    if answer.status != http.client.ACCEPTED:
        raise RuntimeError(str(document))
    return seconds, str(document["job_id"])


def growth_while(service: LocalService, path: Path) -> tuple[float, float]:
    """Seconds until acceptance, and the peak growth of the API process meanwhile, MB. Cancels the job afterwards."""
    processes = service_processes(service.process.pid, API)
    before = peak = resident(processes)
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(accept_seconds, service.url, path)
        while not upload.done():
            peak = max(peak, resident(processes))
            time.sleep(MEMORY_POLL_SECONDS)
        seconds, job = upload.result()
    httpx.delete(f"{service.url}/jobs/{job}", timeout=TIMEOUT)
    return seconds, (peak - before) / MB


def status_latencies(url: str, jobs: Sequence[str], requests: int) -> list[float]:
    """Latencies of GET /status, seconds: `requests` of them in sequence on one connection."""
    latencies = []
    with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
        for number in range(requests):
            started = time.perf_counter()
            client.get(f"/status/{jobs[number % len(jobs)]}").raise_for_status()
            latencies.append(time.perf_counter() - started)
    return latencies


def main() -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--model-dir", type=Path, default=None)
    parser.add_argument("--upload", type=int, default=1000, help="size of the large upload, MB")
    parser.add_argument("--jobs", type=int, default=16, help="number of ten-minute recordings that keep the model busy")
    parser.add_argument("--requests", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as name:
        folder = Path(name)
        environment = {
            "WHISPER_MODEL": arguments.model,
            "WHISPER_MODEL_DIR": str(arguments.model_dir or folder / "models"),
            "TEMP_DIR": str(folder / "uploads"),
            "CACHE_DIR": str(folder / "cache"),
            "MAX_DURATION": "100000",
        }
        source = speech()
        large = write_clip(source, (arguments.upload * MB - WAV_HEADER) // BYTES_PER_SECOND, folder).path
        small, long = write_clip(source, 3, folder).path, write_clip(source, 600, folder).path
        with local_service(environment, folder / "log") as service:
            growth_while(service, small)  # the first request of a process is slower
            accepted = [("3 s", *growth_while(service, small))]
            accepted += [(f"{arguments.upload} MB", *growth_while(service, large)) for _ in range(3)]
            jobs = [accept_seconds(service.url, long)[1] for _ in range(arguments.jobs)]
            latencies = status_latencies(service.url, jobs, arguments.requests)
            unfinished = httpx.get(f"{service.url}/jobs?status=queued,processing&limit=200", timeout=TIMEOUT).json()
    print(
        table(
            ("upload", "accepted after, s", "growth of the API process, MB"),
            [(n, f"{s:.3f}", f"{m:.0f}") for n, s, m in accepted],
        )
    )
    p50, p99 = statistics.median(latencies), percentile(latencies, 0.99)
    waiting = len(unfinished["jobs"])
    print(f"GET /status, {len(latencies)} requests; {waiting} of {arguments.jobs} jobs unfinished at the end:")
    print(f"median {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms, worst {1000 * max(latencies):.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
