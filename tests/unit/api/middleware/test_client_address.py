"""Whose request it is behind proxies, and who may say so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.middleware.client_address import NOBODY, client_of, parse_networks

PROXIES = parse_networks("10.0.0.0/8, 192.0.2.1")


def scope(peer, *forwarded):
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": (peer, 1234) if peer else None, "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),  # not a proxy of ours: it may say what it likes
        ("10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # what is left of it the client made up
        ("10.1.1.1", ["198.51.100.1, 192.0.2.1"], "198.51.100.1"),
        ("10.1.1.1", ["198.51.100.1", "10.2.2.2"], "198.51.100.1"),
        ("10.1.1.1", ["10.2.2.2"], "10.1.1.1"),
        ("10.1.1.1", ["nonsense"], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1, nonsense"], "10.1.1.1"),
        ("10.1.1.1", [""], "10.1.1.1"),
        (None, [], NOBODY),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("10.1.1.1", ["2001:db8:1:2::9"], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", [], "203.0.113.5"),
        ("::ffff:10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["198.51.100.1, ::ffff:10.2.2.2"], "198.51.100.1"),
    ],
)
def test_a_request_is_counted_for_its_client(peer, forwarded, client):
    assert client_of(scope(peer, *forwarded), PROXIES) == client


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_whoever_is_no_proxy_cannot_be_somebody_else(forwarded):
    assert client_of(scope("203.0.113.5", *forwarded), PROXIES) == "203.0.113.5"


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_the_last_address_in_front_of_a_proxy_counts_whatever_was_before_it(forwarded):
    assert client_of(scope("10.1.1.1", *forwarded, "198.51.100.1"), PROXIES) == "198.51.100.1"
