import trio

from trioworkers.testing import Crash, JobScript, ScriptedWorker, Sleep, simulate
from trioworkers.testing.streams import CutAfter, Restart, StreamLink, StreamNetwork, Unreachable


async def one_job(network: StreamNetwork) -> None:
    work = JobScript((Sleep(1.0),))
    group = network["desk"].job_group("till", name="play", payload=work, cancel_on_error=False)
    async with group:
        pass
    print(group.outcomes["till"].status, f"after {trio.current_time():.1f} s")


runners = {"desk": tuple, "shop": lambda: [ScriptedWorker("till")]}
for fault in (
    CutAfter("desk", 1),  # the reply is lost: it is sent again, and taken once
    Unreachable(0.5, 2.0, client="shop"),
    Unreachable(0.5, 9.0, client="shop"),
    Restart(0.5, 0.2),
    Crash("shop", 0.5),
):
    simulate(one_job, runners=runners, link=StreamLink(lease=3.0), faults=[fault])
# Output:
# completed after 1.0 s
# completed after 2.8 s
# lost after 3.0 s
# completed after 1.0 s
# lost after 3.0 s
