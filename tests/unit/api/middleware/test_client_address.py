"""The address of a client behind proxies, and which proxies are trusted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.middleware.client_address import UNKNOWN, client_of, parse_networks

PROXIES = parse_networks("10.0.0.0/8, 192.0.2.1")


def scope(peer, *forwarded):
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"client": (peer, 1234) if peer else None, "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),  # not a trusted proxy, so its header is ignored
        ("10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # the client may have forged everything before it
        ("10.1.1.1", ["198.51.100.1, 192.0.2.1"], "198.51.100.1"),
        ("10.1.1.1", ["198.51.100.1", "10.2.2.2"], "198.51.100.1"),
        ("10.1.1.1", ["10.2.2.2"], "10.1.1.1"),
        ("10.1.1.1", ["nonsense"], "10.1.1.1"),
        ("10.1.1.1", ["198.51.100.1, nonsense"], "10.1.1.1"),
        ("10.1.1.1", [""], "10.1.1.1"),
        (None, [], UNKNOWN),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("10.1.1.1", ["2001:db8:1:2::9"], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", [], "203.0.113.5"),
        ("::ffff:10.1.1.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.1.1", ["198.51.100.1, ::ffff:10.2.2.2"], "198.51.100.1"),
    ],
)
def test_a_request_counts_towards_its_client(peer, forwarded, client):
    assert client_of(scope(peer, *forwarded), PROXIES) == client


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_a_client_that_is_not_a_trusted_proxy_cannot_forge_its_address(forwarded):
    assert client_of(scope("203.0.113.5", *forwarded), PROXIES) == "203.0.113.5"


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_the_last_address_before_a_trusted_proxy_counts_regardless_of_what_precedes_it(forwarded):
    assert client_of(scope("10.1.1.1", *forwarded, "198.51.100.1"), PROXIES) == "198.51.100.1"
