"""Over the wire, too, who is slow slows those that send to it; nothing grows, nothing is lost."""

import signal

import trio
from redis_children import Letter, ask_far, open_child
from redis_jobs import wait_for

from trioworkers import JobEvent, WorkerRunner
from trioworkers.bus import CREDIT_WINDOW
from trioworkers.bus.redis import RedisBus

LEASE = 8.0


def length(server, namespace, incarnation, lane):
    """Return how many entries a lane of a bus holds."""
    return server.call("XLEN", f"{{{namespace}}}:{lane}:{incarnation}")


async def steady(value, seconds=0.3):
    """Return ``value()`` once it has not changed for so many seconds."""
    while True:
        before = value()
        await trio.sleep(seconds)
        if value() == before:
            return before


async def test_a_slow_consumer_slows_its_producer(real_server, namespace, tmp_path, seen):
    """In another process: chunks that were sent and not consumed are bounded by the window."""
    bus = RedisBus(real_server.url, namespace=namespace, lease=LEASE)
    count = 1200
    async with WorkerRunner(name="near", bus=bus) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE) as child:
            await ask_far(runner)
            got = []
            ahead = 0
            async with runner.job(
                "far", name="stream", payload={"key": "s", "count": count}
            ) as job:
                async for event in job:
                    if event.type != JobEvent.STREAM_DATA:
                        continue
                    got.append(event.data["number"])
                    if len(got) in (1, 200, 400, 600):

                        def sent():
                            return max(
                                (int(words[2]) for words in child.told("sent", "s")), default=0
                            )

                        ahead = max(ahead, await steady(sent) + 1 - len(got))
                        assert not child.told("done", "s")
            assert got == list(range(count))
            # Credit goes back in portions, and the producer may be one chunk ahead of it.
            assert 0 < ahead <= CREDIT_WINDOW + 1
            seen(f"at most {ahead} chunks under way (window {CREDIT_WINDOW}); all {count} came")


async def test_a_runner_that_reads_nothing_makes_senders_wait(
    real_server, namespace, tmp_path, seen
):
    """Its stream stops at `max_unread` entries; all is there when it reads again."""
    limit = 128
    bus = RedisBus(real_server.url, namespace=namespace, lease=LEASE, max_unread=limit)
    async with WorkerRunner(name="near", bus=bus) as runner:
        with open_child(
            real_server.url, namespace, tmp_path, lease=LEASE, max_unread=limit
        ) as child:
            answer, _ = await ask_far(runner)
            far = answer["incarnation"]
            done = []

            async def ask():
                await runner.call("far", name="echo")
                done.append(1)

            child.signal(signal.SIGSTOP)
            async with trio.open_nursery() as nursery:
                # One entry each: the writer packs what comes at once.
                for _ in range(3 * limit):
                    nursery.start_soon(ask)
                    await trio.sleep(0.002)
                full = await steady(lambda: length(real_server, namespace, far, "data"))
                assert full <= limit
                statistics = bus.statistics()
                waiting = statistics.unpublished
                child.signal(signal.SIGCONT)
                emptied = await wait_for(lambda: len(done) == 3 * limit)
            assert full == limit
            assert waiting > 0
            assert statistics.full_peers == 1
            seen(
                f"{3 * limit} jobs: {full} entries unread (max_unread {limit}), {waiting} messages "
                f"waited at the sender; all done {emptied:.2f} s after SIGCONT"
            )


async def test_a_cancel_passes_the_backlog_of_a_runner_that_was_stopped(
    real_server, namespace, tmp_path
):
    """Its system lane has room when its data lane is full."""
    limit = 128
    bus = RedisBus(real_server.url, namespace=namespace, lease=LEASE, max_unread=limit)
    async with WorkerRunner(name="near", bus=bus) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE) as child:
            answer, _ = await ask_far(runner)
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:
                    async with runner.job("far", name="steps", payload={"key": "k", "every": 0.01}):
                        await wait_for(lambda: child.told("step"))
                        child.signal(signal.SIGSTOP)
                        for _ in range(2 * limit):
                            nursery.start_soon(lambda: runner.call("far", name="echo"))
                            await trio.sleep(0.002)
                        await wait_for(lambda: bus.statistics().full_peers == 1)
                        before = length(real_server, namespace, answer["incarnation"], "system")
                        nursery.start_soon(
                            cancel_and_resume,
                            scope,
                            child,
                            real_server,
                            namespace,
                            answer["incarnation"],
                            before,
                        )
                        await trio.sleep_forever()
                assert scope.cancelled_caught
                assert child.told("end", "k")


async def cancel_and_resume(scope, child, server, namespace, incarnation, before):
    """Cancel; let the process go on as soon as the cancel is in its stream."""
    scope.cancel()
    with trio.CancelScope(shield=True):
        await wait_for(lambda: length(server, namespace, incarnation, "system") > before)
        child.signal(signal.SIGCONT)


async def test_senders_of_messages_wait_for_a_runner_that_is_stopped(
    real_server, namespace, tmp_path, seen
):
    """`send` returns only as long as there is room for what waits; all comes in order."""
    bus = RedisBus(real_server.url, namespace=namespace, lease=LEASE)
    async with WorkerRunner(name="near", bus=bus) as runner:
        with open_child(real_server.url, namespace, tmp_path, lease=LEASE) as child:
            await ask_far(runner)
            child.signal(signal.SIGSTOP)
            sent = 0
            with trio.move_on_after(1.0) as scope:
                while True:
                    await bus.send(Letter(source="near", target="far"))
                    sent += 1
            assert scope.cancelled_caught
            assert sent == CREDIT_WINDOW
            child.signal(signal.SIGCONT)
            with trio.fail_after(2):
                for _ in range(3 * CREDIT_WINDOW):
                    await bus.send(Letter(source="near", target="far"))
            _, took = await ask_far(runner)
            assert took < 0.5
            seen(f"{sent} messages sent to a stopped process, then the sender waited")
