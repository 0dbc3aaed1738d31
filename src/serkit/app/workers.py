"""Workers outside the event loop, with a bounded queue."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.exceptions import HTTPException

Result = TypeVar("Result")

#: Time in s after which a client may try again; a prediction takes less.
RETRY_AFTER = 1


class Workers(ABC):
    """Workers that run in parallel, with places for waiting requests.

    Args:
        count: at work at the same time.
        places: requests that may be there, at work or waiting.
    """

    def __init__(self, count: int, places: int) -> None:
        self._count = count
        self._places = places
        self._taken = 0

    @property
    def running(self) -> int:
        """Number of requests in progress."""
        return min(self._taken, self._count)

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return self._taken - self.running

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            HTTPException: 503 with Retry-After: no place is free.
        """
        if self._taken == self._places:
            raise busy("all places are taken")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, work: Callable[..., Result], seconds: float) -> Result:
        """Do work within a time limit.

        Raises:
            HTTPException: 503: the work took longer.
        """
        try:
            async with asyncio.timeout(seconds):
                result: Result = await self._run(work)
                return result
        except TimeoutError:
            raise busy(f"no answer within {seconds:g} s") from None

    @abstractmethod
    async def _run(self, work: Callable[..., Any]) -> Any:
        """Do work; it is cancelled at the time limit."""

    @abstractmethod
    def close(self) -> None:
        """Drop work that has not started, and end."""


class Threads(Workers):
    """Threads, for work that ends by itself. NumPy and onnxruntime compute without Python's lock.

    At the time limit, work that has not started is dropped; work in progress runs to its end.
    """

    def __init__(self, count: int, places: int) -> None:
        super().__init__(count, places)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="serkit")

    async def _run(self, work: Callable[..., Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Wait for work in progress."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def busy(reason: str) -> HTTPException:
    """Build the answer to a client that may try again."""
    return HTTPException(503, f"the server is busy: {reason}; try again", {"Retry-After": str(RETRY_AFTER)})
