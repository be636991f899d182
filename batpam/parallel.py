"""Work in threads, results in order, and in several processes."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    run: Callable[[Item], Result], items: Iterable[Item], workers: int, *, begin: Callable[[], object] = lambda: None
) -> Iterator[Result]:
    """Yield ``run(item)`` of every item, in their order, computed in threads.

    However many items there are, no more than twice the number of workers are taken ahead of the result that is asked
    for. The first error is raised where its result would stand; what has not begun by then is not done.

    Parameters
    ----------
    begin
        Called once in each thread before its first item.

    Examples
    --------
    >>> list(in_order(abs, [-3, 2, -1], 2))
    [3, 2, 1]
    """
    waiting: deque = deque()
    pool = ThreadPoolExecutor(workers, initializer=begin)
    try:
        for item in items:
            waiting.append(pool.submit(run, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def is_first() -> bool:
    """Whether this is the first, or the only one, of the processes of a training; Lightning numbers them."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
