"""What the soak sends is a mix of everything callers do, and the same every time."""

from scripts.soak import FORMATS, make_requests

FILES = {"1s.wav": b"a", "3s.wav": b"b", "noise.wav": b"n", "broken.wav": b"x"}


def test_the_same_seed_sends_the_same():
    assert make_requests(100, FILES, seed=1) == make_requests(100, FILES, seed=1)
    assert make_requests(100, FILES, seed=1) != make_requests(100, FILES, seed=2)


def test_all_kinds_of_requests_are_among_them():
    requests = make_requests(500, FILES)
    assert {request.name for request in requests} == set(FILES)
    assert {request.fields["response_format"] for request in requests} == set(FORMATS)
    assert 0 < sum(request.leaves for request in requests) < len(requests) / 2
    assert all(request.content == FILES[request.name] for request in requests)
