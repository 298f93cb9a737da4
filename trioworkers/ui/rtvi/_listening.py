"""The sockets at which a server listens."""

import errno
import socket
from collections.abc import Sequence
from typing import Any

import trio

#: Bytes that the kernel keeps for one client: one that doesn't read costs no more. The kernel
#: doubles it for its own book-keeping.
SEND_BUFFER, RECEIVE_BUFFER = 128 * 1024, 64 * 1024
#: What means all addresses, and an address that is always among them.
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_BACKLOG = 128
#: Tries to find a port that is free at all addresses of a name.
_TRIES = 20


async def listen(host: str, port: int) -> list[trio.SocketListener]:
    """Return listeners at all addresses of ``host``, with one port.

    Args:
      host: A name or an address of this machine.
      port: 0 for any that is free.

    Raises:
      OSError: It can't be; says what to do.
    """
    try:
        found = await trio.socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(
            errno.EADDRNOTAVAIL, f"can't listen at host {host!r}: nobody knows that name ({error})"
        ) from None
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for left in reversed(range(_TRIES)):
        try:
            sockets = _open_all(addresses, port)
        except OSError as error:
            if port == 0 and left and error.errno == errno.EADDRINUSE:
                continue  # free at the first address, but not at another
            raise _explained(error, host, port) from None
        return [trio.SocketListener(sock) for sock in sockets]
    raise AssertionError("unreachable")


def _open_all(
    addresses: Sequence[tuple[socket.AddressFamily, tuple[Any, ...]]], port: int
) -> list[trio.socket.SocketType]:
    """Listen at all addresses that this machine has; at one at least."""
    sockets: list[trio.socket.SocketType] = []
    missing: OSError | None = None
    for family, address in addresses:
        try:
            sock = _open(family, (address[0], port, *address[2:]))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                missing = error
                continue
            for opened in sockets:
                opened.close()
            raise
        port = sock.getsockname()[1]
        sockets.append(trio.socket.from_stdlib_socket(sock))
    if not sockets:
        assert missing is not None
        raise missing
    return sockets


def _open(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        _set_up(sock, family)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_up(sock: socket.socket, family: socket.AddressFamily) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    # Connections inherit these.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _explained(error: OSError, host: str, port: int) -> OSError:
    reasons = {
        errno.EADDRINUSE: "another program listens there: stop it, or choose another port "
        "(0 for any that is free)",
        errno.EACCES: "the system doesn't let you: ports below 1024 often need special rights, "
        "so choose one above",
        errno.EADDRNOTAVAIL: "this machine has no such address: 127.0.0.1 is always there",
    }
    why = reasons.get(error.errno or 0, error.strerror or str(error))
    return OSError(error.errno, f"can't listen at host {host!r}, port {port}: {why}")
