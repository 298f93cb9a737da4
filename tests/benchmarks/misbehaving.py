"""A side that goes wrong in every way. For `test_benchmarks_children`."""

import os
import sys
import time


def run(measure):
    return measure()


def counted(count):
    return float(count)


def several(count):
    sys.stdout.write("this goes to standard error, not into the answers\n")
    return (float(count), 2.0)


def raising(count):
    raise ValueError("that can't be measured")


def unavailable(count):
    raise NotImplementedError("the thing to measure")


def dying(count):
    sys.stderr.write("out of luck\n")
    sys.stderr.flush()
    os._exit(3)


def hanging(count):
    time.sleep(3600)


def process(count):
    return float(os.getpid())
