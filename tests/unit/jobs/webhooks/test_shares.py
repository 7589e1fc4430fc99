"""How many callbacks are sent at the same time for one caller and to one receiver."""

from __future__ import annotations

import pytest

from tests.unit.jobs.webhooks.support import finished_job
from transcription.jobs.job import Job
from transcription.jobs.store.base import NONE_BUSY
from transcription.jobs.webhooks.shares import MAX_CONCURRENT_ATTEMPTS, Shares, receiver_of


def fill(shares: Shares, job: Job) -> int:
    """Begin attempts for a job until its caller or receiver is busy. Returns how many."""
    assert job.delivery
    begun, receiver = 0, (job.caller, receiver_of(job.delivery.url))
    while job.caller not in shares.busy().callers and receiver not in shares.busy().receivers:
        shares.begin(job)
        begun += 1
    return begun


def test_a_receiver_has_a_quarter_of_the_attempts_and_the_next_ones_a_part_of_the_rest() -> None:
    shares = Shares()
    jobs = [finished_job(f"https://{number}.example/hook", caller=f"{number}") for number in range(6)]
    assert [fill(shares, job) for job in jobs] == [8, 6, 5, 4, 3, 2]
    assert sum(fill(shares, job) for job in jobs) == 0


def test_a_caller_has_half_of_the_attempts_whatever_number_of_receivers_it_names() -> None:
    shares = Shares()
    hosts = [finished_job(f"https://{number}.example/hook", caller="ada") for number in range(MAX_CONCURRENT_ATTEMPTS)]
    assert sum(fill(shares, job) for job in hosts) == MAX_CONCURRENT_ATTEMPTS // 2
    assert fill(shares, finished_job("https://bob.example/hook", caller="bob")) > 0


def test_a_receiver_that_hangs_for_one_caller_is_tried_for_another() -> None:
    shares = Shares()
    assert fill(shares, finished_job("https://a.example/hangs", caller="ada")) > 0
    assert fill(shares, finished_job("https://a.example/answers", caller="bob")) > 0


def test_nobody_is_busy_once_all_attempts_have_ended() -> None:
    shares = Shares()
    job = finished_job("https://a.example/hook")
    begun = fill(shares, job)
    for _ in range(begun):
        shares.end(job)
    assert shares.busy() == NONE_BUSY


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://A.example/b//c", "https://a.example"),
        ("https://a.example:8443?b", "https://a.example:8443"),
        ("http://[::1]:80#b", "http://[::1]:80"),
        ("not a url", ""),
    ],
)
def test_a_receiver_is_the_scheme_host_and_port(url: str, receiver: str) -> None:
    assert receiver_of(url) == receiver
