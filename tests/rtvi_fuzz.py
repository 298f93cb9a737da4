"""Messages that are wrong in some way, made up by chance."""

import json
import os
import struct

from rtvi_servers import UPGRADE

from trioworkers.ui.rtvi._frames import wrap

#: Numbers that are trouble somewhere.
NUMBERS = [0, -1, 1.5, 2**53, 2**63, 2**64, -(2**63) - 1, 10**40, 10**400, 1e308, 5e-324]
TEXTS = ["", "x", "\0", "\u202e", "😀" * 50, "x" * 3000, "__cancel_task", "../../etc/passwd"]


def value(chance, depth=0):
    """Return any JSON value."""
    kind = chance.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return None
    if kind == 1:
        return chance.choice([True, False])
    if kind == 2:
        return chance.choice(NUMBERS)
    if kind <= 4:
        return chance.choice(TEXTS)
    if kind == 5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    keys = ["id", "type", "data", "t", "event", "payload", "version", "job_id", "content", "", "x"]
    return {chance.choice(keys): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def no_text(chance):
    """Return any JSON value but a text that is of use."""
    return chance.choice([None, "", 5, -1.5, [], {}, ["x"], {"x": 1}, True, "x" * 201, 10**400])


def wrong_data(chance):
    """Return a type, and data that don't fit it."""
    whole = chance.choice([None, 5, "x", [], True, [{}]])
    return chance.choice(
        [
            lambda: ("client-ready", chance.choice([whole, {"version": no_text(chance)}])),
            lambda: ("client-ready", {"version": chance.choice(["2", "x.y", "-1.2", "²." * 3])}),
            lambda: ("ui-event", chance.choice([whole, {"event": no_text(chance)}])),
            lambda: ("ui-event", {"event": "__cancel_task", "payload": value(chance)}),
            lambda: ("ui-event", {"event": chance.choice("abc") * 9, "payload": value(chance)}),
            lambda: ("client-message", chance.choice([whole, {"t": no_text(chance)}])),
            lambda: ("client-message", {"t": "__send_text", "d": value(chance)}),
            lambda: ("client-message", {"t": "nothing", "d": value(chance)}),
            lambda: ("ui-snapshot", chance.choice([whole, {}])),
            lambda: ("ui-cancel-task", chance.choice([whole, {"task_id": no_text(chance)}])),
            lambda: ("ui-cancel-job-group", {"job_id": "none", "reason": "x"}),
            lambda: ("ui-cancel-job-group", {"job_id": "none", "reason": [1]}),
            lambda: (
                "send-text",
                chance.choice([whole, {"content": chance.choice([None, 5, []])}]),
            ),
            lambda: ("send-text", {"content": "x", "options": chance.choice([5, "x", []])}),
            lambda: (chance.choice(["dtmf", "raw-audio", "bot-ready", "x" * 300, "ü"]), whole),
        ]
    )()


def wrong_text(chance):
    """Return a text that is no message that a server could do something with."""
    kind = chance.randrange(8)
    if kind == 0:
        return "".join(chance.choice('{}[]",:0123e-+nulltrfas \n\\u') for _ in range(50))
    if kind == 1:
        return json.dumps(value(chance))
    if kind == 2:
        return chance.choice(["[", '{"a":']) * chance.choice([50, 500, 5000])
    if kind == 3:
        depth = chance.choice([101, 500, 1500])
        nested = "[" * depth + "]" * depth
        return '{"label":"rtvi-ai","type":"ui-event","id":"d","data":' + nested + "}"
    if kind == 4:
        whole = {"label": "rtvi-ai", "type": value(chance), "id": value(chance)}
        whole["data"] = value(chance)
        if isinstance(whole["type"], str):
            whole["type"] = "?" + whole["type"]
        return json.dumps(whole)
    if kind == 5:
        number = chance.choice(["1", '"\\udfff"', "1e999", "-0"])
        head = '{"label":"rtvi-ai","type":"ui-event","id":' + number
        return head + ',"data":{"event":"\\ud800"}}'
    of_type, data = wrong_data(chance)
    message = {"label": "rtvi-ai", "type": of_type, "data": data}
    message["id"] = chance.choice(
        [f"f{chance.randrange(10**6)}", 17, None, [], 1.5, 10**30, "x" * 201]
    )
    text = json.dumps(message)
    if kind == 6:  # a key that is there twice
        text = text[:-1] + ', "label": "other"}'
    return text


def wrong_binary(chance):
    """Return bytes that are no frame with such a message."""
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    frame = bytearray(wrap(wrong_text(chance).encode()))
    if kind == 1:
        return bytes(frame[: chance.randrange(min(20, len(frame)))])
    if kind == 2:
        frame[chance.randrange(min(12, len(frame)))] = chance.randrange(256)
        if b"client-ready" in frame or b"disconnect" in frame:
            return b"\x22"
        return bytes(frame)
    if kind == 3:
        return bytes([chance.choice([0x0A, 0x12, 0x1A, 0x0B, 0x25]), 0x02]) + chance.randbytes(2)
    return bytes(frame)


def is_wrong(message):
    """Whether a server says of something that it is wrong, and what."""
    return message["type"] in ("error", "error-response") and bool(message["data"]["error"])


def masked_frame(payload, opcode=1, *, fin=True):
    """Return a WebSocket frame of a client."""
    mask = os.urandom(4)
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 2**16:
        head += struct.pack("!BH", 0x80 | 126, size)
    else:
        head += struct.pack("!BQ", 0x80 | 127, size)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def upgrade_request(port):
    """Return the bytes that begin a WebSocket."""
    fields = {"Host": f"127.0.0.1:{port}"} | UPGRADE
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET / HTTP/1.1\r\n{lines}\r\n".encode()


def broken_stream(chance, port):
    """Return bytes of a connection that stops in the middle of something."""
    begin = upgrade_request(port)
    kind = chance.randrange(7)
    if kind == 0:
        return chance.randbytes(chance.randrange(300))
    if kind == 1:
        return begin[: chance.randrange(len(begin))]
    if kind == 2:
        return b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n"
    if kind == 3:
        return begin[:-2] + b"X: y\r\n" * 200 + b"\r\n"
    frame = masked_frame(
        json.dumps(value(chance)).encode(), chance.choice([0, 1, 2, 3, 8, 9, 10, 15])
    )
    if kind == 4:
        return begin + frame[: chance.randrange(len(frame))]
    if kind == 5:
        return begin + chance.randbytes(100)
    return begin + masked_frame(b'{"label"', fin=False) + frame[: chance.randrange(len(frame))]
