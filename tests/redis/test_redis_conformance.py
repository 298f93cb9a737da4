"""`RedisBus` keeps the contract of a bus: on its own, and between two of them."""

import pytest

from trioworkers.bus.redis import RedisBus
from trioworkers.testing import check_bus, check_network_bus
from trioworkers.testing.streams import StreamServer

ON_ITS_OWN, BETWEEN_TWO = 18, 20


@pytest.mark.parametrize("capacity", [2, 16, 1024])
async def test_on_a_model_the_bus_keeps_the_contract(autojump_clock, capacity):
    """All clauses hold in virtual time, also with small lanes."""
    server = StreamServer()
    held = await check_bus(lambda: RedisBus(server, lane_capacity=capacity))
    assert len(held) == ON_ITS_OWN


@pytest.mark.parametrize(("capacity", "latency"), [(1, 0.0), (16, 0.003), (1024, 0.0)])
async def test_on_a_model_two_buses_keep_the_contract(autojump_clock, capacity, latency):
    """All clauses hold in virtual time, also on a slow network."""
    server = StreamServer(latency=latency)
    held = await check_network_bus(
        lambda: RedisBus(server, lane_capacity=capacity, max_unread=128), settle=0.2
    )
    assert len(held) == BETWEEN_TWO


async def test_on_a_real_server_the_bus_keeps_the_contract(real_server, namespace):
    """All clauses hold on Valkey and Redis."""
    held = await check_bus(lambda: RedisBus(real_server.url, namespace=namespace, lane_capacity=16))
    assert len(held) == ON_ITS_OWN


@pytest.mark.parametrize("capacity", [1, 1024])
async def test_on_a_real_server_two_buses_keep_the_contract(real_server, namespace, capacity):
    """All clauses hold between two buses, on Valkey and Redis."""
    held = await check_network_bus(
        lambda: RedisBus(real_server.url, namespace=namespace, lane_capacity=capacity)
    )
    assert len(held) == BETWEEN_TWO
