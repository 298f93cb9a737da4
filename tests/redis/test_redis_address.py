"""URLs of servers: what they say, and what is said of wrong ones, without passwords."""

import ssl

import pytest

from trioworkers.bus.redis._address import parse_addresses


def parse(url, context=None):
    """Return the one address."""
    (address,) = parse_addresses(url, context)
    return address


@pytest.mark.parametrize(
    ("url", "host", "port", "db"),
    [
        ("redis://example.org", "example.org", 6379, 0),
        ("redis://example.org/", "example.org", 6379, 0),
        ("redis://example.org:7000/3", "example.org", 7000, 3),
        ("redis://127.0.0.1:1", "127.0.0.1", 1, 0),
        ("redis://[::1]", "::1", 6379, 0),
        ("redis://[::1]:65535/15", "::1", 65535, 15),
    ],
)
def test_tcp(url, host, port, db):
    """Port and database have defaults."""
    address = parse(url)
    assert (address.host, address.port, address.db) == (host, port, db)
    assert (address.user, address.password, address.path, address.tls) == (None, None, "", None)


@pytest.mark.parametrize(
    ("credentials", "user", "password"),
    [
        ("u:p@", "u", "p"),
        (":p@", None, "p"),
        ("u@", "u", None),
        ("u:@", "u", ""),
        ("a%3Ab:p%40%2F%23%3F%25@", "a:b", "p@/#?%"),
    ],
)
@pytest.mark.parametrize("rest", ["redis://{}host/2", "rediss://{}host", "unix://{}/run/x"])
def test_credentials(credentials, user, password, rest):
    """They may be percent-encoded, and are never shown."""
    address = parse(rest.format(credentials))
    assert (address.user, address.password) == (user, password)
    assert "@" not in str(address)
    assert "@" not in repr(address)
    assert repr(address) == f"<Address {address}>"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:p@example.org", "redis://example.org:6379"),
        ("redis://u:p@[::1]:7/3", "redis://[::1]:7/3"),
        ("rediss://u:p@example.org/0", "rediss://example.org:6379"),
        ("unix://u:p@/run/a%20b?db=4", "unix:///run/a b?db=4"),
        ("unix:///run/x", "unix:///run/x"),
    ],
)
def test_shown_without_credentials(url, shown):
    """As a URL."""
    assert str(parse(url)) == shown


def test_tls_checks_the_server():
    """Against the system's certificates, or as the given context does."""
    own = parse("rediss://example.org").tls
    assert own.check_hostname
    assert own.verify_mode is ssl.CERT_REQUIRED
    context = ssl.create_default_context()
    assert parse("rediss://example.org", context).tls is context


def test_several_addresses_stay_in_order():
    """The first is tried first."""
    found = parse_addresses(["redis://a", "rediss://b", "unix:///c"])
    assert [str(address) for address in found] == [
        "redis://a:6379",
        "rediss://b:6379",
        "unix:///c",
    ]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "looks like redis://"),
        ("sesame", "looks like redis://"),
        ("http://host", "looks like redis://"),
        ("REDIS://host", "looks like redis://"),
        ("redis:sesame@host", "looks like redis://"),
        ("redis://", "no valid host"),
        ("redis://:sesame@", "no valid host"),
        ("redis://:sesame@:6379", "no valid host"),
        ("redis://:sesame@two words", "no valid host"),
        ("redis://:sesame@host:port", "port is a number"),
        ("redis://:sesame@host:0", "port is a number"),
        ("redis://:sesame@host:65536", "port is a number"),
        ("redis://:sesame@host:", "port is a number"),
        ("redis://:sesame@host:-1", "port is a number"),
        ("redis://user:/sesame@host", "port is a number"),
        ("redis://user:#sesame@host", "':'|port|host|'@'"),
        ("redis://user:a?sesame@host", "port is a number|'\\?'"),
        ("redis://user:se@same@host", "more than one '@'"),
        ("redis://user:se:same@host", "more than one ':'"),
        ("redis://:sesame@host/x", "database is a number"),
        ("redis://:sesame@host/-1", "database is a number"),
        ("redis://:sesame@host/1/2", "database is a number"),
        ("redis://:sesame@host?db=1", "nothing behind a '\\?'"),
        ("redis://:sesame@[::1", "can't be read|brackets"),
        ("redis://:sesame@[host]", "can't be read|brackets"),
        ("redis://:sesame@[::1]x", "can't be read|brackets"),
        ("redis://:sesame@::1", "port is a number|host"),
        ("unix://:sesame@run/x", "no host"),
        ("unix://:sesame@", "absolute path"),
        ("unix:///", "absolute path"),
        ("unix:///run/x?db=x", "database is a number"),
        ("unix:///run/x?db=1&db=2", "nothing but db"),
        ("unix:///run/x?sesame=1", "nothing but db"),
        ("unix:///run/x?&", "nothing but db"),
    ],
)
def test_wrong_urls(url, complaint):
    """Each is told what is wrong; no part of it that may be a password."""
    with pytest.raises(ValueError, match=complaint) as caught:
        parse_addresses(url)
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("urls", [None, 1, b"redis://host", {"redis://host"}, [b"redis://host"]])
def test_no_urls(urls):
    """A type that can't be."""
    with pytest.raises(TypeError):
        parse_addresses(urls)


def test_no_addresses():
    """There must be one."""
    with pytest.raises(ValueError, match="at least one"):
        parse_addresses([])


def test_wrong_contexts():
    """One that is none, of no use, or checks no names."""
    with pytest.raises(TypeError, match="SSLContext"):
        parse_addresses("rediss://host", "context")
    with pytest.raises(ValueError, match="rediss"):
        parse_addresses("redis://host", ssl.create_default_context())
    with pytest.raises(ValueError, match="check_hostname"):
        parse_addresses("rediss://host", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
