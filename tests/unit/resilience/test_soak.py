"""What the soak sends is a mix of everything callers do, and what it finds is told."""

from collections import Counter
from itertools import islice

from tests.resilience.soak import DESCRIPTORS_MORE, Reading, outcome_table, problems, rounds
from tests.resilience.traffic import FORMATS, SHARES, File, Files, Kind, is_expected, requests

FILES = Files((File("1s.wav", b"a"), File("3s.wav", b"b")), (File("noise.wav", b"n"),), (File("cut.mp3", b"x"),))
FIRST = Reading(sent=50, api=200, runner=500, processes=5, descriptors=100)


def first(count, seed=0):
    return list(islice(requests(FILES, seed), count))


def test_the_same_seed_sends_the_same():
    assert first(100, seed=1) == first(100, seed=1)
    assert first(100, seed=1) != first(100, seed=2)


def test_all_kinds_of_requests_are_sent_about_as_often_as_they_should():
    counts = Counter(request.kind for request in first(2000))
    for kind, share in SHARES.items():
        assert abs(counts[kind] / 2000 - share) < 0.03


def test_every_kind_sends_files_of_its_own():
    for request in first(200):
        assert request.file in FILES.of(request.kind)
        assert request.fields["response_format"] in FORMATS


def test_rounds_by_number_end_after_the_last_request():
    assert [len(list(several)) for several in rounds(requests(FILES), 120, 50, minutes=0)] == [50, 50, 20]


def test_no_time_is_no_round():
    assert list(rounds(requests(FILES), None, 50, minutes=0)) == []


def test_an_answer_that_should_not_be_is_a_problem():
    outcomes = Counter({(Kind.SPEECH, "200"): 9, (Kind.SPEECH, "500"): 1, (Kind.HOSTILE, "422"): 3})
    assert problems([FIRST, FIRST], outcomes, []) == ["1 x speech: 500"]


def test_a_busy_service_is_no_problem_but_is_counted():
    outcomes = Counter({(Kind.SPEECH, "200"): 9, (Kind.SPEECH, "503"): 1})
    assert problems([FIRST, FIRST], outcomes, []) == []
    assert "| speech | 10 | 9 200, 1 503 | 10.0% |" in outcome_table(outcomes)


def test_what_is_left_is_a_problem():
    last = Reading(500, 200, 500, processes=6, descriptors=101 + DESCRIPTORS_MORE)
    found = problems([FIRST, last], Counter(), ["uploads/upload-1"])
    assert len(found) == 3
    assert "uploads/upload-1" in found[0]


def test_a_job_that_fails_is_not_expected():
    assert is_expected(Kind.JOB, "completed")
    assert not is_expected(Kind.JOB, "failed")
    assert not is_expected(Kind.JOB, "503")
