"""Clients of `benchmarks.panel_load`: so plain that many of them fit into one process."""

import json
import os
import socket
import struct
import time
from collections import Counter

import attrs
import orjson
import trio

_REQUEST = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_READY = {"id": "1", "label": "rtvi-ai", "type": "client-ready", "data": {"version": "2.0.0"}}
_PING, _PONG, _CLOSE = 9, 10, 8

#: What a client that was cut off sees, instead of a close code.
CUT = "cut off"


def _masked(payload: bytes, opcode: int) -> bytes:
    assert len(payload) < 126
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


@attrs.define(eq=False)
class Reader:
    """A client that reads all it is sent.

    Attributes:
      latencies: Seconds from where an update was sent to here.
      told: How often it was told of each end, and of each beginning.
      ended: Groups that have ended.
      close: With what code it was closed; None if it wasn't.
    """

    stream: trio.SocketStream
    latencies: list[float] = attrs.field(factory=list)
    told: Counter[tuple[str, str, str]] = attrs.field(factory=Counter)
    ended: int = 0
    close: str | None = None
    _data: bytearray = attrs.field(factory=bytearray)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    async def run(self) -> None:
        """Read until it is closed."""
        try:
            async for part in self.stream:
                now = time.monotonic()
                self._data += part
                while (frame := self._take()) is not None:
                    await self._handle(*frame, now)
        except trio.BrokenResourceError:
            pass
        self.close = self.close or CUT
        self._changed.unpark_all()

    async def wait_ended(self, groups: int) -> None:
        """Wait until so many groups have ended."""
        while self.ended < groups and self.close is None:
            await self._changed.park()

    async def wait_closed(self) -> str:
        """Wait until it is closed; return by what code."""
        while self.close is None:
            await self._changed.park()
        return self.close

    def _take(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        size, head = data[1], 2
        if size == 126:
            if len(data) < 4:
                return None
            size, head = struct.unpack_from("!H", data, 2)[0], 4
        elif size == 127:
            if len(data) < 10:
                return None
            size, head = struct.unpack_from("!Q", data, 2)[0], 10
        if len(data) < head + size:
            return None
        frame = data[0] & 15, bytes(data[head : head + size])
        del data[: head + size]
        return frame

    async def _handle(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == _PING:
            await self.stream.send_all(_masked(payload, _PONG))
        elif opcode == _CLOSE:
            self.close = str(struct.unpack_from("!H", payload)[0])
            await self.stream.send_all(_masked(payload[:2], _CLOSE))
        else:
            message = orjson.loads(payload)
            if message["type"] == "ui-job-group":
                self._note(message["data"], now)

    def _note(self, data: dict[str, object], now: float) -> None:
        kind = str(data["kind"])
        if kind == "job_update":
            update = data["data"]
            assert isinstance(update, dict)
            self.latencies.append(now - update["sent"])
            return
        self.told[str(data["job_id"]), kind, str(data.get("worker_name", ""))] += 1
        if kind == "group_completed":
            self.ended += 1
            self._changed.unpark_all()


async def connect(port: int, *, receive_buffer: int | None = None) -> trio.SocketStream:
    """Return the stream of a client that is ready.

    Args:
      port: The server's.
      receive_buffer: Bytes that the kernel is to keep for it, if it is to be few.
    """
    sock = trio.socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await sock.connect(("127.0.0.1", port))
    stream = trio.SocketStream(sock)
    await stream.send_all(_REQUEST.format(port=port).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # nothing follows before client-ready
        part = await stream.receive_some()
        assert part, "the server has closed the connection"
        head += part
    assert head.startswith(b"HTTP/1.1 101"), head
    await stream.send_all(_masked(json.dumps(_READY).encode(), 1))
    return stream
