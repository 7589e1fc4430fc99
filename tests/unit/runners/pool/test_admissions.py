"""Requests that the pool has begun to serve."""

from __future__ import annotations

from runners.pool.admissions import ADMISSION_SECONDS, MAX_OWNERS, Admissions


def test_an_owner_is_forgotten_after_a_silence():
    now = 0.0
    admissions = Admissions(lambda: now)
    admissions.add("a")
    now = ADMISSION_SECONDS - 1
    assert admissions.has("a")
    admissions.add("a")
    now += ADMISSION_SECONDS
    assert not admissions.has("a")
    assert not admissions.has("b")


def test_the_number_of_owners_is_bounded():
    admissions = Admissions(lambda: 0.0)
    for number in range(MAX_OWNERS + 1):
        admissions.add(str(number))

    assert not admissions.has("0")
    assert admissions.has("1")
