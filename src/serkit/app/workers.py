"""Threads that predict, and the bounded queue in front of them. The event loop stays free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.exceptions import HTTPException

Result = TypeVar("Result")

#: After so many s a client may try again: a prediction takes less.
RETRY_AFTER = 1


class Workers:
    """A pool of threads. NumPy, libsndfile and onnxruntime compute without Python's lock.

    Args:
        threads: at work at the same time.
        places: requests that may be there, at work or waiting.
    """

    def __init__(self, threads: int, places: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="serkit")
        self._threads = threads
        self._places = places
        self._taken = 0

    @property
    def running(self) -> int:
        """Requests at work."""
        return min(self._taken, self._threads)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._taken - self.running

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue. It is taken before the body is read, so that bodies are bounded in number.

        Raises:
            HTTPException: 503 with Retry-After: none is free.
        """
        if self._taken == self._places:
            raise busy("all places are taken")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, work: Callable[[], Result], seconds: float) -> Result:
        """Run in a thread, at most so long.

        Raises:
            HTTPException: 503: it took longer. What has not begun is given up; what has goes on to its end, which
                the limit of a recording's duration bounds.
        """
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except TimeoutError:
            raise busy(f"no answer within {seconds:g} s") from None

    def close(self) -> None:
        """Wait for what has begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def busy(reason: str) -> HTTPException:
    """Build the answer to a client that may try again."""
    return HTTPException(503, f"the server is busy: {reason}; try again", {"Retry-After": str(RETRY_AFTER)})
