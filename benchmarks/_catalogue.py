"""All cases. What a function measures exactly is said where it is defined."""

from ._cases import Case, Point, Quantity

PIPECAT, AUTOGEN, PLANAI = "pipecat-ai", "autogen-core", "planai"
TASKIQ, AIOJOBS = "taskiq", "aiojobs"

STREAQ, TASKIQ_REDIS, ARQ = "streaq", "taskiq-redis", "arq"
#: Added to the name of a package that is not measured as it is shipped.
TUNED = "-tuned"
#: Those that queue jobs on Redis.
QUEUES = (STREAQ, TASKIQ_REDIS, TASKIQ_REDIS + TUNED, ARQ, ARQ + TUNED)

#: In the order in which they are shown.
PEERS = (PIPECAT, AUTOGEN, PLANAI, TASKIQ, AIOJOBS, *QUEUES)

#: The package of the cases between two processes over Redis.
REDIS = "redis"

MICROS = (Quantity("us"),)
MILLIS = (Quantity("ms"),)
KILOBYTES = (Quantity("kB"),)
#: A thousand bystanders or members take a peer seconds to start.
HEAVY_ROUNDS = 3

_ROUND_TRIP = Case(
    "round-trip",
    "job round trip",
    "round_trip",
    MICROS,
    (
        Point("alone", peers=(PIPECAT, AUTOGEN, TASKIQ, AIOJOBS)),
        Point("{bystanders:,} bystanders", {"bystanders": 10}),
        Point("{bystanders:,} bystanders", {"bystanders": 100}, {"bystanders": 20}),
        Point(
            "{bystanders:,} bystanders",
            {"bystanders": 1000},
            {"bystanders": 30},
            rounds=HEAVY_ROUNDS,
        ),
    ),
    (PIPECAT, AUTOGEN),
    few=20,
    most=20_000,
)

_HISTORY = Case(
    "history",
    "job round trip after others",
    "round_trip",
    MICROS,
    (
        Point("{earlier:,} earlier jobs", {"earlier": 1000}, {"earlier": 100}),
        Point("{earlier:,} earlier jobs", {"earlier": 5000}, {"earlier": 200}),
        Point("{earlier:,} earlier jobs", {"earlier": 20_000}, {"earlier": 400}, rounds=3),
    ),
    (PIPECAT, AUTOGEN),
    few=50,
    most=500,
    fixed=True,
)

_KINDS = (
    Case(
        "hook",
        "job round trip with a hook",
        "hook",
        MICROS,
        (Point("on_job_response overridden"),),
        (PIPECAT,),
        few=20,
        most=20_000,
    ),
    Case(
        "typed",
        "job round trip, typed",
        "typed",
        MICROS,
        (Point("two fields"),),
        (AUTOGEN, TASKIQ),
        few=20,
        most=20_000,
    ),
    Case(
        "concurrent",
        "jobs asked for at once",
        "concurrent",
        MICROS,
        (Point("{requesters} requesters", {"requesters": 100}),),
        (PIPECAT, AUTOGEN, TASKIQ, AIOJOBS),
        few=2,
        most=200,
        per="requesters",
    ),
)

_GROUP = Case(
    "group",
    "group, per member",
    "group",
    MICROS,
    (
        Point("{size:,} members", {"size": 3}, peers=(PIPECAT, AUTOGEN, AIOJOBS)),
        Point("{size:,} members", {"size": 10}, peers=(PIPECAT, AUTOGEN, AIOJOBS)),
        Point("{size:,} members", {"size": 100}, {"size": 20}),
        Point("{size:,} members", {"size": 1000}, {"size": 30}, rounds=HEAVY_ROUNDS),
    ),
    (PIPECAT, AUTOGEN, PLANAI, AIOJOBS),
    few=1,
    most=2000,
    per="size",
)

_POOL = Case(
    "pool",
    "pool of 16, per job",
    "pool",
    MICROS,
    (Point("{jobs:,} jobs at once", {"size": 16, "jobs": 1000}, {"jobs": 50}),),
    (PLANAI, AIOJOBS),
    few=1,
    most=20,
    per="jobs",
)

_GRAPHS = (
    Case(
        "graph",
        "graph, per task",
        "graph",
        MICROS,
        (
            Point("{tasks:,} tasks", {"tasks": 1000}, {"tasks": 32}),
            Point("{tasks:,} tasks", {"tasks": 10_000}, {"tasks": 50}, rounds=HEAVY_ROUNDS),
            Point("{tasks:,} tasks", {"tasks": 100_000}, {"tasks": 72}, peers=(), rounds=3),
            Point("{tasks:,} tasks", {"tasks": 1_000_000}, {"tasks": 98}, peers=(), rounds=3),
        ),
        (PLANAI,),
        few=1,
        most=100,
        per="tasks",
    ),
    Case(
        "graph-threads",
        "graph with plain functions, per task",
        "graph_threads",
        MICROS,
        (Point("{tasks:,} tasks", {"tasks": 2000}, {"tasks": 20}),),
        (PLANAI,),
        few=1,
        most=10,
        per="tasks",
    ),
    Case(
        "graph-source",
        "graph with a source",
        "graph_source",
        (
            Quantity("us", "per task"),
            Quantity("kB", "most memory gained", compared=False),
        ),
        (Point("{count:,} tasks", rounds=HEAVY_ROUNDS),),
        few=1000,
        most=1_000_000,
        fixed=True,
        alone=True,
    ),
)

_STREAMS = (
    Case(
        "stream",
        "stream, per chunk",
        "stream",
        MICROS,
        (Point("{chunks:,} chunks", {"chunks": 10_000}, {"chunks": 200}),),
        (PIPECAT,),
        few=1,
        most=50,
        per="chunks",
    ),
    Case(
        "slow-stream",
        "stream to a slow consumer",
        "slow_stream",
        (Quantity("kB", "most memory gained", compared=False),),
        (
            Point(
                "{chunks:,} chunks of 1 kB",
                {"chunks": 10_000, "length": 1000},
                {"chunks": 200},
            ),
        ),
        (PIPECAT,),
        few=10,
        most=200,
        fixed=True,
        alone=True,
    ),
)

_CANCEL = Case(
    "cancel",
    "cancel running handlers",
    "cancel",
    MILLIS,
    (
        Point("{size} handlers, idle", {"size": 100}, {"size": 10}, peers=(PIPECAT, AIOJOBS)),
        Point(
            "{size} handlers, {queued:,} messages queued",
            {"size": 100, "queued": 10_000},
            {"size": 10, "queued": 100},
            rounds=HEAVY_ROUNDS,
        ),
    ),
    (PIPECAT,),
    few=1,
    most=1,
    fixed=True,
)

_LIVES = (
    Case(
        "start-stop",
        "start and stop workers",
        "start_stop",
        MILLIS,
        (Point("{size:,} workers", {"size": 1000}, {"size": 30}, rounds=HEAVY_ROUNDS),),
        (PIPECAT,),
        few=1,
        most=1,
        fixed=True,
    ),
    Case(
        "idle-memory",
        "memory per idle worker",
        "idle_memory",
        KILOBYTES,
        (Point("{count:,} workers", rounds=HEAVY_ROUNDS),),
        (PIPECAT,),
        few=10,
        most=1000,
        fixed=True,
        alone=True,
    ),
    Case(
        "job-memory",
        "memory per job in flight",
        "job_memory",
        KILOBYTES,
        (Point("{count:,} jobs", rounds=HEAVY_ROUNDS),),
        (PIPECAT, AIOJOBS),
        few=10,
        most=10_000,
        fixed=True,
        alone=True,
    ),
)

_CODEC = Case(
    "codec",
    "encode and decode a message",
    "codec",
    MICROS,
    (Point("10 fields in the payload"),),
    (PIPECAT,),
    few=20,
    most=50_000,
)

_SOAK = Case(
    "soak",
    "soak",
    "soak",
    (
        Quantity("us", "per job"),
        Quantity("kB", "gained after the first tenth", compared=False),
    ),
    (Point("{count:,} jobs", rounds=1),),
    (AIOJOBS,),
    few=1000,
    most=1_000_000,
    fixed=True,
    alone=True,
    timeout=900.0,
)

_REDIS = (
    Case(
        "redis-round-trip",
        "Redis: job round trip",
        "round_trip",
        (Quantity("us", "median"), Quantity("us", "99th percentile")),
        (
            Point("alone", peers=(PIPECAT, *QUEUES)),
            Point("1 other runner", {"runners": 1}),
            Point("{runners} other runners", {"runners": 10}, {"runners": 2}),
            Point("{runners} other runners", {"runners": 100}, {"runners": 3}),
            Point("{bystanders:,} bystanders", {"bystanders": 1000}, {"bystanders": 30}),
        ),
        few=5,
        most=2000,
        seconds=1.0,
        family=REDIS,
    ),
    Case(
        "redis-concurrent",
        "Redis: jobs asked for at once",
        "concurrent",
        MICROS,
        (
            Point("{requesters} requesters", {"requesters": 100}, peers=(PIPECAT, *QUEUES)),
            Point("1 requester", {"requesters": 1}),
            Point(
                "{requesters} requesters, {runners} other runners",
                {"requesters": 100, "runners": 100},
                {"runners": 3},
            ),
            Point(
                "{requesters} requesters, {bystanders:,} bystanders",
                {"requesters": 100, "bystanders": 1000},
                {"bystanders": 30},
            ),
        ),
        few=1,
        most=2000,
        per="requesters",
        seconds=1.0,
        family=REDIS,
    ),
    Case(
        "redis-stream",
        "Redis: stream, per chunk",
        "stream",
        MICROS,
        (Point("{chunks:,} chunks", {"chunks": 20_000}, {"chunks": 200}),),
        (PIPECAT,),
        few=1,
        most=10,
        per="chunks",
        seconds=1.0,
        family=REDIS,
    ),
    Case(
        "redis-first-chunk",
        "Redis: first chunk of a stream",
        "first_chunk",
        MICROS,
        (Point("{chunks} chunks", {"chunks": 100}, {"chunks": 10}),),
        (PIPECAT,),
        few=3,
        most=200,
        fixed=True,
        family=REDIS,
    ),
    Case(
        "redis-slow-stream",
        "Redis: stream to a slow consumer",
        "slow_stream",
        (Quantity("kB", "most memory gained by all", compared=False),),
        (
            Point(
                "{chunks:,} chunks of 1 kB",
                {"chunks": 10_000, "length": 1000},
                {"chunks": 200},
                rounds=HEAVY_ROUNDS,
            ),
        ),
        (PIPECAT,),
        few=10,
        most=200,
        fixed=True,
        alone=True,
        family=REDIS,
    ),
)

CASES = (
    _ROUND_TRIP,
    _HISTORY,
    *_KINDS,
    _GROUP,
    _POOL,
    *_GRAPHS,
    *_STREAMS,
    _CANCEL,
    *_LIVES,
    _CODEC,
    _SOAK,
    *_REDIS,
)
