"""Circles of waiters, alone: refused exactly when no place could ever be given back."""

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import run

from trioworkers import BusJobCancelMessage, BusJobRequestMessage, WaitingCircleError
from trioworkers.jobs import JobHandler
from trioworkers.jobs._active import ActiveJob
from trioworkers.jobs._circles import Holders

HANDLER = JobHandler("do", None)  # type: ignore[arg-type]


def _request(job_id, chain=(), worker="w", asked=None, **fields):
    """A request to worker ``w`` that the last job of ``chain`` has asked for."""
    *ancestors, parent = chain or (None,)
    return BusJobRequestMessage(
        job_id,
        "do",
        parent_job_id=parent,
        ancestors=tuple(ancestors),
        asked=asked or (worker,) * len(chain),
        source="r",
        target="w",
        **fields,
    )


def _job(request):
    return ActiveJob(request, HANDLER, trio.CancelScope())


def _held_by(*job_ids, places=None):
    holders = Holders("the lock", places or len(job_ids))
    for job_id in job_ids:
        holders.take(_job(_request(job_id)))
    return holders


async def test_only_an_ancestor_that_holds_the_place_makes_a_circle():
    """The chain is named from the holder on."""
    _held_by(places=1).check_circle(_request("j2", ("j1",)))
    holders = _held_by("j1")
    holders.check_circle(_request("j2"))
    holders.check_circle(_request("j2", ("j8", "j9")))
    with pytest.raises(WaitingCircleError) as caught:
        holders.check_circle(_request("j4", ("j0", "j1", "j2", "j3")))
    assert caught.value.chain == ("j1", "j2", "j3", "j4")
    assert "the lock is held by an ancestor of this request" in str(caught.value)


async def test_a_free_place_or_another_holder_ends_the_waiting():
    """All holders must be ancestors."""
    _held_by("j1", places=2).check_circle(_request("j2", ("j1",)))
    _held_by("j1", "other").check_circle(_request("j2", ("j1",)))
    with pytest.raises(WaitingCircleError):
        _held_by("j1", "j2").check_circle(_request("j3", ("j1", "j2")))


async def test_holders_that_wait_for_others_make_a_circle_with_them():
    """Each waits for a job that waits for a place, so no place is given back."""
    holders = _held_by("j1", "j2")
    below = _request("j3", ("j1",))
    holders.begin_wait(below)
    with pytest.raises(WaitingCircleError) as caught:
        holders.check_circle(_request("j4", ("j2",)))
    assert caught.value.chain == ("j2", "j4")
    holders.end_wait(below)
    holders.check_circle(_request("j4", ("j2",)))


async def test_one_with_a_time_limit_gives_up_by_itself():
    """So that its ancestor goes on, and gives its place back."""
    holders = _held_by("j1", "j2")
    holders.begin_wait(_request("j3", ("j1",), deadline=5.0))
    holders.check_circle(_request("j4", ("j2",)))


def test_a_job_of_another_worker_that_shares_the_id_is_no_holder():
    """The members of a group have one job id, and are different jobs."""
    holders = _held_by("j1")
    holders.check_circle(_request("j2", ("j1",), worker="other"))
    holders.check_circle(_request("j3", ("j1", "j2"), asked=("other", "w")))


def test_whoever_does_not_wait_is_no_ancestor():
    """A job that was asked for and forgotten holds nobody up."""
    _held_by("j1").check_circle(_request("j2", ("j1",), awaited=False))


async def test_a_holder_that_is_being_stopped_gives_its_place_back():
    """Cancelled or out of time: what it waits for is cancelled with it."""
    request = _request("j1")
    job = _job(request)
    holders = Holders("the lock")
    holders.take(job)
    job.cancel = BusJobCancelMessage("j1", source="r", target="w")
    holders.check_circle(_request("j2", ("j1",)))


class _Model:
    """Who holds and who waits; a place that is given back goes to whoever waits longest."""

    def __init__(self, places):
        self.places = places
        self.chains = {}
        self.held = []
        self.queue = []

    def is_stuck_with(self, job_id, chain):
        """Let whoever can end do so, again and again; see whether ``job_id`` gets a place."""
        chains = {**self.chains, job_id: chain}
        held, queue = list(self.held), [*self.queue, job_id]
        while job_id in queue:
            ends = [
                holder
                for holder in held
                if not any(holder in chains[waiting] for waiting in queue)
                and not any(holder in chains[other] for other in held)
            ]
            if not ends and len(held) >= self.places:
                return True
            held = [holder for holder in held if holder not in ends]
            while queue and len(held) < self.places:
                held.append(queue.pop(0))
        return False


@settings(max_examples=500, deadline=None)
@given(
    st.integers(1, 4), st.lists(st.sampled_from(("ask", "end", "give up")), max_size=30), st.data()
)
def test_refused_is_exactly_what_would_wait_for_ever(places, steps, data):
    """Compared with a model that lets everyone end who can."""

    async def main():
        model, holders = _Model(places), Holders("the lock", places)
        requests = {}
        for number, action in enumerate(steps):
            if action == "ask":
                job_id = f"j{number}"
                parent = data.draw(st.sampled_from((None, *model.held)))
                chain = () if parent is None else (*model.chains[parent], parent)
                request = requests[job_id] = _request(job_id, chain)
                stuck = model.is_stuck_with(job_id, chain)
                try:
                    holders.check_circle(request)
                except WaitingCircleError:
                    assert stuck
                    continue
                assert not stuck
                model.chains[job_id] = chain
                if len(model.held) < places:
                    model.held.append(job_id)
                    holders.take(_job(request))
                else:
                    model.queue.append(job_id)
                    holders.begin_wait(request)
            elif action == "give up" and model.queue:
                job_id = data.draw(st.sampled_from(model.queue))
                model.queue.remove(job_id)
                holders.end_wait(requests[job_id])
            elif action == "end":
                open_ids = (*model.held, *model.queue)
                free = [h for h in model.held if not any(h in model.chains[o] for o in open_ids)]
                if free:
                    job_id = data.draw(st.sampled_from(free))
                    model.held.remove(job_id)
                    holders.give_back(job_id)
                    if model.queue:
                        following = model.queue.pop(0)
                        holders.end_wait(requests[following])
                        holders.take(_job(requests[following]))
                        model.held.append(following)

    run(main)
