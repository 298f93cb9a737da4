import tempfile

import trio

from trioworkers.graph import CachedTaskWorker, Graph, Task


class Number(Task):
    n: int


class Factor(Task):
    prime: int


class Factorise(CachedTaskWorker):
    output_types: list[type[Task]] = [Factor]
    smallest: int = 2

    def consume_work(self, task: Number) -> None:
        n, prime = task.n, self.smallest
        while n > 1:
            if n % prime == 0:
                n //= prime
                self.publish_work(Factor(prime=prime), input_task=task)
            else:
                prime += 1

    def extra_cache_key(self, task: Number) -> str:
        return f"from {self.smallest}"  # all else that the outputs depend on


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for n in (360, 360, 2**13 - 1):
            graph, factorise = Graph(), Factorise(cache_dir=directory)
            graph.add_workers(factorise).set_entry(factorise)
            factorise.sink(Factor)
            await graph.run([Number(n=n), Number(n=n)])
            factors = [factor.prime for factor in graph.get_output_tasks(Factor)]
            cached = graph.statistics().workers["Factorise"].cached
            print(factors[: len(factors) // 2], "cached:", cached)


trio.run(main)
# Output:
# [2, 2, 2, 3, 3, 5] cached: 1
# [2, 2, 2, 3, 3, 5] cached: 2
# [8191] cached: 1
