"""Which host names the service answers for."""

from __future__ import annotations

import pytest

from transcription.api.middleware.hosts import AllowedHosts, Authority


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:3000", "192.168.1.20:80", "8.8.8.8", "[::1]", "[::1]:3000", "[2001:db8::1]:443"),
        *("[::ffff:127.0.0.1]", "[fe80::1%25eth0]:3000", "localhost", "localhost:3000", "localhost:", "LOCALHOST."),
        *("transcription:3000", "api_1", "nas", "nas.local", "NAS.Local:3000", "host.docker.internal"),
        *("transcription.speech.svc", "transcription.speech.svc.cluster.local:80", "app.localhost:3000", " nas "),
    ],
)
def test_addresses_and_names_that_nobody_can_register_are_allowed(host: str) -> None:
    assert AllowedHosts().allows(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:3000", "EVIL.example.", "localhost.evil.example", "127.0.0.1.evil.example"),
        *("evil.example/localhost", "evil.example#localhost", "user@localhost", "localhost@evil.example", "local host"),
        *("notlocal.evil", "x.svc.evil.example", ".local", "localhost..", "localhost:3000:3000"),
        *(
            "::1",
            "[::1",
            "[evil.example]",
            "[]",
            "",
            ":3000",
            "localhost:port",
            "localhost,evil.example",
            "ex\u00e4mple",
        ),
        *("1.2.3.4.5", "256.256.256.256"),
    ],
)
def test_any_other_host_is_not(host: str) -> None:
    assert not AllowedHosts().allows(host)


@pytest.mark.parametrize("host", ["speech.example.com", "Speech.Example.COM.:443", "192.0.2.1"])
def test_names_of_the_setting_are_allowed_with_any_port(host: str) -> None:
    assert AllowedHosts.parse("other.example, speech.example.com").allows(host)


def test_a_name_of_the_setting_does_not_include_its_subdomains() -> None:
    assert not AllowedHosts.parse("example.com").allows("speech.example.com")


def test_an_asterisk_before_a_name_means_its_subdomains() -> None:
    hosts = AllowedHosts.parse("*.Example.com")
    assert hosts.allows("speech.example.com:443")
    assert hosts.allows("a.b.example.com")
    assert not hosts.allows("example.com")
    assert not hosts.allows("evilexample.com")


def test_an_asterisk_allows_every_host() -> None:
    assert AllowedHosts.parse("example.com, *").allows("user@evil.example")


def test_an_internationalized_name_is_compared_in_its_ascii_form() -> None:
    assert AllowedHosts.parse("b\u00fccher.example").allows("xn--bcher-kva.example")


@pytest.mark.parametrize(
    "text", ["https://example.com", "example.com:443", "example.com/", "a b", "*example.com", "*."]
)
def test_a_setting_that_no_host_can_match_is_invalid(text: str) -> None:
    with pytest.raises(ValueError, match="without scheme, port and path"):
        AllowedHosts.parse(text)


def test_a_host_is_compared_in_lower_case_and_without_the_final_dot() -> None:
    assert Authority.parse("Example.COM.:8080") == Authority("example.com", 8080)
    assert Authority.parse("[::1]") == Authority("[::1]", None)
