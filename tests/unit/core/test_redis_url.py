"""Addresses of Sentinels."""

from __future__ import annotations

import pytest

from transcription.core.redis_url import Sentinels, parse_sentinels
from transcription.core.setting_rules import redis_server

TLS = {"ssl": True, "ssl_cert_reqs": "required"}


def test_all_parts_are_read():
    url = "rediss+sentinel://me:p%40ss@a:1,b.example.org/jobs/3"

    assert parse_sentinels(url) == Sentinels((("a", 1), ("b.example.org", 26379)), "jobs", 3, "me", "p@ss", TLS)
    assert redis_server(url) == url


def test_a_user_and_a_database_need_not_be_given():
    assert parse_sentinels("redis+sentinel://:pass@a/jobs") == Sentinels((("a", 26379),), "jobs", 0, "", "pass", {})


def test_certificates_may_be_named():
    url = "rediss+sentinel://a/jobs?ssl_ca_certs=/etc/ours.pem&ssl_certfile=/etc/me.pem&ssl_keyfile=/etc/me.key"
    sentinels = parse_sentinels(url)
    assert sentinels
    assert sentinels.tls == {
        **TLS,
        "ssl_ca_certs": "/etc/ours.pem",
        "ssl_certfile": "/etc/me.pem",
        "ssl_keyfile": "/etc/me.key",
    }
    assert redis_server(url) == url


@pytest.mark.parametrize("url", ["redis://a:1/0", "rediss://a", ""])
def test_one_server_has_no_sentinels(url):
    assert parse_sentinels(url) is None
    assert redis_server(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://a",
        "redis+sentinel://a:b/jobs",
        "redis+sentinel://a/jobs/x",
        "redis+sentinel://a/jobs?ssl_ca_certs=/etc/ours.pem",  # without TLS
        "rediss+sentinel://a/jobs?ssl_ca_certs=",
        "rediss+sentinel://a/jobs?ssl_keyfile=/etc/me.key",  # of which certificate?
        "rediss+sentinel://a/jobs?ssl_cert_reqs=none",
    ],
)
def test_an_incomplete_address_is_refused_with_the_form(url):
    with pytest.raises(ValueError, match="PRIMARY"):
        redis_server(url)
