"""Helper processes. For `test_benchmarks_redis`."""

import asyncio
import os

from benchmarks.redis._helpers import ready


def run(serve):
    return asyncio.run(serve())


async def waiting(*, number):
    ready()
    await asyncio.sleep(3600 * number)


async def dying():
    os.write(2, b"out of luck\n")
    os._exit(3)
