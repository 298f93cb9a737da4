"""Workers, their registry, and the runner that hosts them."""

from ._pool import WorkerPool as WorkerPool
from ._ready import worker_ready as worker_ready
from ._registry import WorkerRegistry as WorkerRegistry
from ._requesting import Requesting as Requesting
from ._runner import WorkerRunner as WorkerRunner
from ._statistics import PoolStatistics as PoolStatistics
from ._statistics import RunnerStatistics as RunnerStatistics
from ._statistics import WorkerStatistics as WorkerStatistics
from ._types import WorkerActivationArgs as WorkerActivationArgs
from ._types import WorkerErrorData as WorkerErrorData
from ._types import WorkerParams as WorkerParams
from ._types import WorkerReadyData as WorkerReadyData
from ._worker import BaseWorker as BaseWorker
