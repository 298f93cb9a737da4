from trioworkers import BaseWorker, BusJobRequestMessage, WorkerRunner, job
from trioworkers.testing import Scenario, Script, simulate, simulated  # noqa: F401 - for the replay


class Index(BaseWorker):
    """Finds texts; one of several replicas."""

    @job(name="find")
    async def find(self, message: BusJobRequestMessage) -> dict[str, str]:
        return {"found": f"results for {(message.payload or {})['text']}"}


class Search(BaseWorker):
    """Shows what was found for the query that was asked last. Or does it?"""

    asked = 0
    shown = ""

    @job(name="query")
    async def query(self, message: BusJobRequestMessage) -> None:
        self.asked += 1
        answer = await self.call(f"index-{self.asked % 2}", name="find", payload=message.payload)
        self.shown = answer["found"]


class Fixed(Search):
    """Shows an answer only if no query came meanwhile."""

    @job(name="query")
    async def query(self, message: BusJobRequestMessage) -> None:
        self.asked += 1
        mine = self.asked
        answer = await self.call(f"index-{self.asked % 2}", name="find", payload=message.payload)
        if mine == self.asked:
            self.shown = answer["found"]


def typing_with(kind: type[Search]) -> Scenario:
    async def somebody_types(runner: WorkerRunner) -> None:
        search = kind("search")
        await runner.add_workers(search, Index("index-0"), Index("index-1"))
        async with (
            runner.job("search", name="query", payload={"text": "tri"}),
            runner.job("search", name="query", payload={"text": "trio"}),
        ):
            pass
        assert search.shown == "results for trio", f"shows {search.shown}"

    return somebody_types


somebody_types = typing_with(Search)
test_search = simulated()(somebody_types)  # or, above an async function: @simulated()

try:
    test_search()  # as pytest would
except AssertionError as failure:
    print(failure)
    notes = "\n".join(failure.__notes__).splitlines()
    replay = next(line for line in notes if line.startswith("replay: "))

# Such as: simulate(somebody_types, seed=0, decisions=Script([0, 0, 0, 3]))
try:
    eval(replay.removeprefix("replay: "))
except AssertionError as failure:
    print("again:", failure)

test_fixed = simulated()(typing_with(Fixed))
test_fixed()
print("fixed")
# Output:
# shows results for tri
# again: shows results for tri
# fixed
