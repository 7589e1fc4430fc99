"""Which URLs the service may connect to on behalf of clients."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transcription.core.errors import InvalidParameter
from transcription.outbound.address_rules import CALLBACK, Address, AllowList, Endpoint, is_public, objection, parse_url

NOTHING = AllowList()
PUBLIC = [ip_address("93.184.215.14"), ip_address("2606:2800:21f:cb07:6820:80da:af6b:8b2c")]

# The registries of special-purpose addresses (RFC 6890 and later), and what the ipaddress module calls special.
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24"),
    *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64"),
    *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7"),
    *("fe80::/10", "fec0::/10", "ff00::/8"),
    *(str(network) for network in ipaddress._IPv4Constants._private_networks),
    *(str(network) for network in ipaddress._IPv6Constants._private_networks),
    *(str(network) for network in ipaddress._IPv6Constants._reserved_networks),
]

host_names = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z][a-z0-9]{0,8}){0,3}", fullmatch=True)
ports = st.integers(1, 65535)


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network | IPv6Network:
    address = draw(st.ip_addresses())
    return ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False)


def members(network: IPv4Network | IPv6Network) -> st.SearchStrategy[Address]:
    return st.integers(0, network.num_addresses - 1).map(lambda offset: network[offset])


def https(host: str, port: int = 443) -> Endpoint:
    return Endpoint("https", host, port, "/")


# Addresses


@pytest.mark.parametrize("address", PUBLIC, ids=str)
def test_an_ordinary_internet_address_is_public(address: Address) -> None:
    assert is_public(address)


@pytest.mark.parametrize("network", SPECIAL)
def test_the_first_and_last_address_of_a_special_network_are_not_public(network: str) -> None:
    assert not is_public(ip_network(network)[0])
    assert not is_public(ip_network(network)[-1])


@given(st.sampled_from(SPECIAL).map(ip_network).flatmap(members))
def test_no_address_in_a_special_network_is_public(address: Address) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
@example(ip_address("224.0.0.1"))
@example(ip_address("ff0e::1"))
def test_addresses_that_python_considers_special_are_not_public(address: Address) -> None:
    special = (
        not address.is_global,
        address.is_private,
        address.is_loopback,
        address.is_link_local,
        address.is_multicast,
        address.is_reserved,
        address.is_unspecified,
        getattr(address, "is_site_local", False),
    )
    if any(special):
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv6_address_with_an_embedded_ipv4_address_is_public(inner: IPv4Address) -> None:
    holders = (
        IPv6Address((0xFFFF << 32) | int(inner)),  # mapped
        IPv6Address(int(inner)),  # compatible
        IPv6Address((0x2002 << 112) | (int(inner) << 80)),  # 6to4
        IPv6Address((0x64FF9B << 96) | int(inner)),  # NAT64
        IPv6Address((0x20010000 << 96) | (~int(inner) & 0xFFFFFFFF)),  # Teredo
    )
    assert not any(map(is_public, holders))


def test_an_address_with_a_zone_is_not_public() -> None:
    assert not is_public(ip_address(f"{PUBLIC[1]}%eth0"))


# URLs


def test_a_url_is_parsed_into_its_parts() -> None:
    assert parse_url("HTTPS://Hooks.Example.com:8443/a/b?c=%20d#e", CALLBACK) == Endpoint(
        "https", "hooks.example.com", 8443, "/a/b?c=%20d"
    )
    assert parse_url("http://10.0.0.1", CALLBACK).address == IPv4Address("10.0.0.1")
    assert parse_url("https://[2001:DB8:0::1]/", CALLBACK).host == "2001:db8::1"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://example.com/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
    ],
)
def test_the_host_header_has_the_port_unless_it_is_the_default(url: str, authority: str) -> None:
    assert parse_url(url, CALLBACK).authority == authority


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "//example.com/", "ftp://example.com/", "file:///etc/passwd", "https:/example.com"),
        *("https://", "https:///path", "https://:443/", "https://example..com/", "https://-a.com/", "https://a.com./"),
        *("https://user@example.com/", "https://user:secret@example.com/", "https://example.com@10.0.0.1/"),
        *("https://example.com:0/", "https://example.com:65536/", "https://example.com:https/", "https://a:1:2/"),
        *("https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://a.0x/"),
        *("https://127.0.0.01/", "https://1.2.3.4.5/", "https://[127.0.0.1]/", "https://[::1/", "https://::1/"),
        *("https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[v1.a]/", "https://ex%61mple.com/"),
        *(
            "https://exa mple.com/",
            "https://example.com/\r\nX: y",
            "https://example.com\\@a.com/",
            "https://ümlaut.de/",
        ),
        "https://example.com/" + "a" * 2048,
        "https://" + ".".join(["a" * 60] * 5) + "/",
    ],
)
def test_an_ambiguous_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidParameter, match="callback_url"):
        parse_url(url, CALLBACK)


@given(st.text(max_size=80) | st.from_regex(r"https?://[a-z0-9.:@\[\]%/\\#?]{0,40}", fullmatch=True))
def test_any_text_is_parsed_or_refused_as_an_invalid_parameter(text: str) -> None:
    try:
        endpoint = parse_url(text, CALLBACK)
    except InvalidParameter:
        return
    assert endpoint.scheme in ("http", "https")
    assert 1 <= endpoint.port <= 65535
    assert endpoint.target.startswith("/")
    assert parse_url(f"{endpoint.scheme}://{endpoint.authority}{endpoint.target}", CALLBACK) == endpoint


# The allow-list


@pytest.mark.parametrize("text", ["", " ", ",", " , ,"])
def test_an_empty_list_allows_nothing(text: str) -> None:
    assert AllowList.parse(text) == NOTHING


@given(st.lists(host_names | networks().map(str), max_size=5))
def test_white_space_and_case_in_the_list_do_not_matter(entries: list[str]) -> None:
    assert AllowList.parse(" ,".join(entries).upper()) == AllowList.parse(",".join(entries))


@given(host_names, ports, ports)
def test_a_name_is_allowed_on_any_port_or_on_its_own_only(name: str, port: int, other: int) -> None:
    assert AllowList.parse(name).has_name(name, port)
    assert AllowList.parse(f"{name}:{port}").has_name(name, other) == (port == other)


@given(host_names, host_names)
def test_a_wildcard_allows_the_names_below_it_and_no_others(name: str, label: str) -> None:
    allow = AllowList.parse(f"*.{name}")

    assert allow.has_name(f"{label}.{name}", 443)
    assert not allow.has_name(name, 443)
    assert not allow.has_name(f"x{name}", 443)
    assert not allow.has_name(f"{label}.{name}.example", 443)


@given(networks(), st.ip_addresses(), ports)
def test_a_network_allows_its_addresses_and_no_others(
    network: IPv4Network | IPv6Network, address: Address, port: int
) -> None:
    assert AllowList.parse(str(network)).has_address(address, port) == (address in network)


@given(st.ip_addresses(), ports, ports)
def test_an_address_may_have_a_port(address: Address, port: int, other: int) -> None:
    entry = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"

    assert AllowList.parse(entry).has_address(address, other) == (port == other)


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "https://example.com",
            "example.com/path",
            "*",
            "*.",
            "a.*.com",
            "user@a.com",
            "a.com:",
            "a.com:0",
            "a.com:x",
        ),
        *(
            "a.com:65536",
            "10.0.0.1/8",
            "fd00::1/8",
            "10.0.0.0/33",
            "10.0.0",
            "127.1",
            "0x7f000001",
            "[fd00::1",
            "fe80::1%1",
        ),
    ],
)
def test_an_invalid_entry_is_named_in_the_error(entry: str) -> None:
    with pytest.raises(ValueError, match="^" + "'" + entry.replace("*", r"\*").replace("[", r"\[")):
        AllowList.parse(f"example.com, {entry}")


# The decision


def test_a_public_host_over_https_is_allowed() -> None:
    assert objection(https("example.com"), PUBLIC, NOTHING, CALLBACK) == ""


@given(st.lists(st.ip_addresses(), min_size=1, max_size=4))
def test_every_address_of_a_host_must_be_public(addresses: list[Address]) -> None:
    assert bool(objection(https("example.com"), addresses, NOTHING, CALLBACK)) == (not all(map(is_public, addresses)))


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (Endpoint("http", "example.com", 443, "/"), "https only"),
        (Endpoint("http", "example.com", 80, "/"), "https only"),
        (https("example.com", 8443), "port 443 only, not 8443"),
    ],
)
def test_public_hosts_are_refused_over_http_and_on_other_ports(endpoint: Endpoint, reason: str) -> None:
    assert reason in objection(endpoint, PUBLIC, NOTHING, CALLBACK)
    assert "WEBHOOK_ALLOW" in objection(endpoint, PUBLIC, NOTHING, CALLBACK)


def test_an_allowed_name_may_have_any_address_and_use_http() -> None:
    allow = AllowList.parse("app.internal:8080")
    endpoint = Endpoint("http", "app.internal", 8080, "/")

    assert objection(endpoint, [ip_address("10.0.0.1")], allow, CALLBACK) == ""


def test_a_name_may_use_http_if_all_its_addresses_are_in_allowed_networks() -> None:
    allow = AllowList.parse("10.0.0.0/8")
    endpoint = Endpoint("http", "app.internal", 8080, "/")

    assert objection(endpoint, [ip_address("10.0.0.1"), ip_address("10.0.0.2")], allow, CALLBACK) == ""
    assert objection(endpoint, [ip_address("10.0.0.1"), PUBLIC[0]], allow, CALLBACK)


def test_a_single_address_outside_the_allowed_networks_is_refused() -> None:
    allow = AllowList.parse("10.0.0.0/8")

    assert objection(https("a.com"), [ip_address("10.0.0.1"), PUBLIC[0]], allow, CALLBACK) == ""
    assert objection(https("a.com"), [ip_address("10.0.0.1"), ip_address("192.168.0.1")], allow, CALLBACK)


def test_the_reason_does_not_contain_the_address() -> None:
    assert "10.9" not in objection(https("example.com"), [ip_address("10.9.8.7")], NOTHING, CALLBACK)
