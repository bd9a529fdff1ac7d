import os

import pytest

from penfold.net.shared import Counters, client_key


@pytest.fixture
def counters():
    made = Counters(workers=3, slots=64, window=60.0, keyed=b"k" * 16)
    yield made
    made.close()


def test_a_limit_holds_over_all_workers(counters):
    one, two = counters.column(0), counters.column(1)
    assert [one.open("192.0.2.1", 3), two.open("192.0.2.1", 3), one.open("192.0.2.1", 3)] == [True] * 3
    assert not two.open("192.0.2.1", 3)
    assert two.open("192.0.2.2", 3)
    one.shut("192.0.2.1")
    assert two.open("192.0.2.1", 3)
    assert counters.connections("192.0.2.1") == 3


def test_a_network_of_ipv6_is_one_client():
    assert client_key("2001:db8:1:2::1") == client_key("2001:db8:1:2:ffff::9")
    assert client_key("2001:db8:1:3::1") != client_key("2001:db8:1:2::1")
    assert client_key("::ffff:192.0.2.1") == client_key("192.0.2.1")


def test_a_dead_worker_leaves_no_count_behind(counters):
    for _ in range(5):
        counters.column(2).open("192.0.2.1", 10)
    counters.column(1).open("192.0.2.1", 10)
    counters.clear(2)
    assert counters.connections("192.0.2.1") == 1
    counters.column(1).shut("192.0.2.1")
    counters.column(1).shut("192.0.2.1")
    assert counters.connections("192.0.2.1") == 0


def test_rates_slide_over_the_window(counters):
    column = counters.column(0)
    assert all(column.hit("192.0.2.1", 10, 600.0) for _ in range(10))
    assert not column.hit("192.0.2.1", 10, 659.0)
    assert not column.hit("192.0.2.1", 10, 660.0)
    assert column.hit("192.0.2.1", 10, 690.0, 5)
    assert not column.hit("192.0.2.1", 10, 690.0)
    assert column.hit("192.0.2.1", 10, 840.0, 10)
    assert not column.hit("192.0.2.1", 10, 840.0)


def test_a_full_table_shares_slots_and_never_lets_more_through(counters):
    column = counters.column(0)
    addresses = [f"10.0.{high}.{low}" for high in range(4) for low in range(250)]
    for address in addresses:
        column.open(address, 2)
        column.open(address, 2)
        assert counters.connections(address) >= 1
        assert not column.open(address, 2)
    assert counters.used() <= 64


def test_counts_go_back_to_nothing_after_the_table_was_full(counters):
    column = counters.column(0)
    opened = [address for address in (f"10.1.{n // 250}.{n % 250}" for n in range(1000)) if column.open(address, 50)]
    assert len(opened) > 64
    for address in opened:
        column.shut(address)
    for address in opened:
        assert counters.connections(address) == 0


def test_faded_slots_are_taken_by_new_clients(counters):
    column = counters.column(0)
    for number in range(32):
        column.hit(f"10.2.0.{number}", 5, 60.0)
    for number in range(32):
        assert column.hit(f"10.3.0.{number}", 1, 600.0)


def test_a_column_outside_the_table_is_refused(counters):
    with pytest.raises(ValueError, match="columns"):
        counters.column(3)


def test_processes_count_together_without_losing_any(counters):
    children = []
    for worker in range(2):
        child = os.fork()
        if not child:
            column = counters.column(worker)
            for _ in range(500):
                column.hit("192.0.2.9", 10_000, 600.0)
                column.open("192.0.2.9", 10_000)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert counters.connections("192.0.2.9") == 1000
    assert counters.column(0).hit("192.0.2.9", 1001, 600.0)
    assert not counters.column(0).hit("192.0.2.9", 1001, 600.0)
