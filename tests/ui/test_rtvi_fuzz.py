"""A server before clients that send nonsense."""

import os
import random
import resource

import pytest
import trio
from rtvi_fuzz import broken_stream, is_wrong, wrong_binary, wrong_text
from rtvi_servers import fetch, serving, talking

FRAMES = int(os.environ.get("TRIOWORKERS_FUZZ_FRAMES", "3000"))
#: Messages under way at once, and messages of one client.
WINDOW, OF_ONE = 50, 500


async def send_nonsense(served, chance, make, count, *, binary):
    """Send wrong messages; each must be answered with an error."""
    while count > 0:
        async with talking(served, binary=binary) as talk:
            for _ in range(0, min(count, OF_ONE), WINDOW):
                sent = [make(chance) for _ in range(min(WINDOW, count))]
                count -= len(sent)
                for frame in sent:
                    await talk.socket.send(frame)
                for frame in sent:
                    try:
                        answer = await talk.receive()
                    except trio.TooSlowError:
                        raise AssertionError(f"no answer among those to {sent}") from None
                    assert is_wrong(answer), (answer, frame)


async def break_off(served, chance, count):
    """Connect, and stop in the middle of something."""
    for _ in range(count):
        stream = await trio.open_tcp_stream("127.0.0.1", served.port)
        async with stream:
            try:
                await stream.send_all(broken_stream(chance, served.port))
                if chance.random() < 0.3:
                    with trio.move_on_after(0.05):
                        await stream.receive_some()
                elif chance.random() < 0.3:
                    await stream.send_eof()
            except trio.BrokenResourceError:
                pass


@pytest.mark.parametrize("seed", [1])
async def test_nonsense_is_answered_and_harms_nobody(seed):
    """Each wrong message gets an error; good clients are answered, meanwhile and afterwards."""
    chance = random.Random(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with serving(messages_per_second=1e6, max_clients=20) as served:
        begun = trio.current_time()
        broken = FRAMES // 20
        texts = (FRAMES - broken) // 2
        async with talking(served) as good:
            async with trio.open_nursery() as nursery:
                done = trio.Event()

                async def ask_on():
                    number = 0
                    while not done.is_set():
                        number += 1
                        assert (await good.ask("echo", number))["data"]["d"] == number
                        await trio.sleep(0.01)

                async def attack():
                    async with trio.open_nursery() as attackers:
                        for make, count, binary in (
                            (wrong_text, texts, False),
                            (wrong_binary, FRAMES - broken - texts, True),
                        ):
                            attackers.start_soon(
                                lambda *these: send_nonsense(*these[:-1], binary=these[-1]),
                                served,
                                chance,
                                make,
                                count,
                                binary,
                            )
                        attackers.start_soon(break_off, served, chance, broken)
                    done.set()

                nursery.start_soon(ask_on)
                nursery.start_soon(attack)
            await served.until(lambda now: now.clients == 1)
            assert (await good.ask("echo", "still here"))["data"]["d"] == "still here"
        assert (await fetch(served.port, "/panel.css")).status == 200
        await served.until(lambda now: not now.clients)
        now = served.server.statistics()
        assert now.messages_refused > FRAMES // 2
        assert (now.sessions, now.requests, now.groups) == (0, 0, 0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(  # noqa: T201 - shown by -s, for the figures
            f"{FRAMES} frames in {trio.current_time() - begun:.1f} s, "
            f"memory {before // 1024} + {grown // 1024} MiB; "
            f"{now.messages_refused} were refused by the server itself"
        )
        assert grown < 64 * 1024  # KiB
