"""Results in order, a bounded number of items ahead, errors where they belong."""

import threading
import time

import pytest

from batpam.parallel import in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers):
    def slow(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(in_order(slow, range(40), workers)) == [item * item for item in range(40)]


def test_no_more_is_taken_than_twice_the_workers_ahead():
    taken = []

    def items():
        for item in range(1000):
            taken.append(item)
            yield item

    results = in_order(abs, items(), 2)
    for done in range(20):
        assert next(results) == done
        assert len(taken) <= done + 1 + 2 * 2 + 1
    results.close()
    assert len(taken) < 30


def test_error_is_raised_in_its_place_and_nothing_more_is_begun():
    begun = []

    def run(item):
        begun.append(item)
        if item == 3:
            raise ValueError("three")
        return item

    results = in_order(run, range(1000), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert len(begun) < 12


def test_each_thread_begins_once():
    begun = []
    list(in_order(abs, range(50), 3, begin=lambda: begun.append(threading.get_ident())))
    assert len(begun) == len(set(begun)) <= 3
