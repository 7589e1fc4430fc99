"""How often sessions decode, and whether there is room for another."""

from transcription.live.pace import FRESH_SECONDS, LONGEST_TICK, SHORTEST_TICK, Pace


def after(*latencies, now=0.0):
    pace = Pace()
    for latency in latencies:
        pace.learn(latency, now)
    return pace


def test_an_idle_device_has_the_shortest_interval():
    assert Pace().interval(0.0) == SHORTEST_TICK
    assert after(0.1).interval(0.0) == SHORTEST_TICK


def test_the_interval_grows_with_the_time_that_ticks_take_up_to_a_limit():
    assert SHORTEST_TICK < after(0.8).interval(0.0) < LONGEST_TICK
    assert after(9.0).interval(0.0) == LONGEST_TICK


def test_ticks_are_searched_with_several_beams_while_that_makes_none_of_them_wait():
    assert after(0.2).has_time_to_search(0.0)
    assert not after(0.5).has_time_to_search(0.0)


def test_one_slow_tick_is_not_a_slow_device():
    assert after(0.2, 0.2, 3.0).has_room(0.0)


def test_there_is_no_room_when_ticks_take_too_long():
    assert not after(2.0, 2.0, 2.0).has_room(0.0)


def test_an_old_measure_does_not_count():
    slow = after(9.0)
    assert slow.has_room(FRESH_SECONDS + 1)
    assert slow.interval(FRESH_SECONDS + 1) == SHORTEST_TICK
