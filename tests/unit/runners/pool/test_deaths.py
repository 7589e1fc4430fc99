"""Deaths of runners, and silences that may be some, as one client sees them."""

from __future__ import annotations

import pytest

from runners.batching.quarantine import QUARANTINE_SECONDS
from runners.pool.addresses import Address
from runners.pool.deaths import SILENT_SECONDS, UNDER_WAY_SECONDS, Deaths
from tests.support.clock import Clock
from transcription.core.errors import ServiceUnavailable

WINDOW, OTHER = "window", "other"  # fingerprints
HERE, THERE = (Address(f"http://{ip}:3000", ip, 3000) for ip in ("10.0.0.1", "10.0.0.2"))


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def deaths(clock: Clock) -> Deaths:
    return Deaths(clock)


def test_deaths_count_against_the_window_that_was_on_the_device(deaths: Deaths, clock: Clock) -> None:
    deaths.died("first", WINDOW)
    clock.now += 1
    deaths.died("second", WINDOW)
    assert deaths.against(WINDOW) == {"first": 1000.0, "second": 1001.0}
    assert deaths.against(OTHER) == {}


def test_two_windows_of_one_process_with_the_same_audio_are_one_death(deaths: Deaths, clock: Clock) -> None:
    deaths.died("first", WINDOW)
    clock.now += 1
    deaths.died("first", WINDOW)
    assert len(deaths.against(WINDOW)) == 1


def test_a_death_counts_for_an_hour(deaths: Deaths, clock: Clock) -> None:
    deaths.died("first", WINDOW)
    clock.now += QUARANTINE_SECONDS
    assert deaths.against(WINDOW) == {}
    assert deaths.suspects_none


def test_a_silence_is_forgotten_when_the_same_process_answers(deaths: Deaths) -> None:
    for _ in range(3):
        deaths.fell_silent(HERE, "first", WINDOW)
        assert deaths.against(WINDOW) == {}
        deaths.answers(HERE, "first")
    assert deaths.suspects_none


def test_a_silence_was_a_death_if_another_process_answers_in_its_place(deaths: Deaths) -> None:
    deaths.fell_silent(HERE, "first", WINDOW)
    deaths.answers(THERE, "second")
    assert deaths.against(WINDOW) == {}
    deaths.answers(HERE, "third")
    assert deaths.against(WINDOW) == {"first": 1000.0}


def test_after_two_silences_a_window_waits_until_it_is_known_what_they_were(deaths: Deaths) -> None:
    deaths.fell_silent(HERE, "first", WINDOW)
    deaths.fell_silent(THERE, "second", WINDOW)
    with pytest.raises(ServiceUnavailable):
        deaths.against(WINDOW)
    deaths.answers(HERE, "first")
    assert deaths.against(WINDOW) == {}


def test_a_death_and_a_silence_make_a_window_wait(deaths: Deaths) -> None:
    deaths.told({WINDOW: {"third": 999.0}})
    deaths.fell_silent(HERE, "first", WINDOW)
    with pytest.raises(ServiceUnavailable):
        deaths.against(WINDOW)
    deaths.answers(HERE, "second")
    assert deaths.against(WINDOW) == {"third": 999.0, "first": 1000.0}


def test_a_machine_that_stays_away_is_not_waited_for(deaths: Deaths, clock: Clock) -> None:
    deaths.fell_silent(HERE, "first", WINDOW)
    deaths.fell_silent(THERE, "second", WINDOW)
    clock.now += SILENT_SECONDS
    assert deaths.against(WINDOW) == {}


def test_a_death_that_two_clients_have_seen_counts_once(deaths: Deaths) -> None:
    deaths.died("first", WINDOW)
    deaths.told({WINDOW: {"first": 1000.5}})
    assert len(deaths.against(WINDOW)) == 1


def test_a_process_that_was_held_dead_and_is_heard_again_has_not_died(deaths: Deaths, clock: Clock) -> None:
    for _ in range(3):
        deaths.died("first", WINDOW)
        deaths.died("first", OTHER)
        clock.now += UNDER_WAY_SECONDS
        deaths.answers(HERE, "first")
        assert deaths.suspects_none


def test_what_a_process_said_before_its_death_is_no_sign_of_life(deaths: Deaths, clock: Clock) -> None:
    deaths.died("first", WINDOW)
    clock.now += UNDER_WAY_SECONDS - 1
    deaths.answers(HERE, "first")
    assert deaths.against(WINDOW) == {"first": 1000.0}


def test_a_death_stays_when_another_process_answers_in_its_place(deaths: Deaths, clock: Clock) -> None:
    deaths.died("first", WINDOW)
    clock.now += UNDER_WAY_SECONDS
    deaths.answers(HERE, "second")
    assert deaths.against(WINDOW) == {"first": 1000.0}


@pytest.mark.parametrize("ahead", [0.0, 3.0])
def test_a_death_that_was_withdrawn_is_not_told_again(deaths: Deaths, clock: Clock, ahead: float) -> None:
    told = {WINDOW: {"first": 1000.0 + UNDER_WAY_SECONDS + ahead}}  # by the clock of another machine
    deaths.told(told)
    clock.now += UNDER_WAY_SECONDS
    deaths.answers(HERE, "first")
    deaths.told(told)
    assert deaths.suspects_none


def test_a_process_whose_death_was_withdrawn_may_still_die(deaths: Deaths, clock: Clock) -> None:
    deaths.died("first", WINDOW)
    clock.now += UNDER_WAY_SECONDS
    deaths.answers(HERE, "first")
    clock.now += 1
    deaths.told({WINDOW: {"first": clock.now}})
    assert deaths.against(WINDOW) == {"first": clock.now}
