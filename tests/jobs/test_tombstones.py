"""Tombstones, alone: cancels that come before their requests."""

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import run

from trioworkers import BusJobCancelMessage
from trioworkers.jobs._tombstones import MAX_TOMBSTONES, TOMBSTONE_LIFE, Tombstones


def _cancel(job_id, source="r"):
    return BusJobCancelMessage(job_id, source=source, target="w")


def test_a_tombstone_is_taken_once():
    """A cancel stops one request, not two."""

    async def main():
        stones = Tombstones()
        assert not stones.take("j")
        stones.add(_cancel("j"))
        stones.add(_cancel("k"))
        assert stones.count() == 2
        assert stones.take("j")
        assert not stones.take("j")
        assert stones.count() == 1

    run(main)


def test_tombstones_expire():
    """After a lease period they are forgotten, whoever asks."""

    async def main():
        stones = Tombstones()
        stones.add(_cancel("j"))
        await trio.sleep(TOMBSTONE_LIFE - 1)
        stones.add(_cancel("k"))
        assert stones.count() == 2
        await trio.sleep(1)
        assert not stones.take("j")
        assert stones.take("k")
        assert stones.count() == 0

    run(main)


def test_tombstones_are_bounded():
    """The oldest go first."""

    async def main():
        stones = Tombstones()
        for n in range(MAX_TOMBSTONES + 10):
            stones.add(_cancel(f"j{n}"))
        assert stones.count() == MAX_TOMBSTONES
        assert not stones.take("j9")
        assert stones.take("j10")

    run(main)


def test_tombstones_of_a_requester_that_departs_go():
    """Others' stay."""

    async def main():
        stones = Tombstones()
        stones.add(_cancel("j", "gone"))
        stones.add(_cancel("k", "stays"))
        stones.forget_requesters({"gone"})
        assert not stones.take("j")
        assert stones.take("k")

    run(main)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "wait", "forget"]),
            st.integers(0, 4),
            st.sampled_from([0.0, 1.0, 14.0, 29.5, 30.0, 31.0]),
        ),
        max_size=30,
    )
)
# A cancel that comes again lives longer, and must not keep others from expiring.
@example([("add", 1, 0.0), ("add", 0, 0.0), ("wait", 0, 1.0), ("add", 1, 0.0), ("wait", 0, 29.5)])
def test_tombstones_match_a_plain_model(script):
    """A dict of deadlines says the same after any script."""

    async def main():
        stones, model = Tombstones(), {}
        for action, n, seconds in script:
            now = trio.current_time()
            model = {k: v for k, v in model.items() if v[0] > now}
            if action == "add":
                # Again for the same job: a new lease, and the newest place.
                stones.add(_cancel(f"j{n}", f"r{n % 2}"))
                model[f"j{n}"] = (now + TOMBSTONE_LIFE, f"r{n % 2}")
            elif action == "take":
                assert stones.take(f"j{n}") == (model.pop(f"j{n}", None) is not None)
            elif action == "wait":
                await trio.sleep(seconds)
            else:
                stones.forget_requesters({f"r{n % 2}"})
                model = {k: v for k, v in model.items() if v[1] != f"r{n % 2}"}
            now = trio.current_time()
            assert stones.count() == sum(v[0] > now for v in model.values())

    run(main)
