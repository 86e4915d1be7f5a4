"""Work in the background: again and again at a rhythm, and at once when there is something to do."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from app.core.context import acting_as
from app.core.errors import AppError
from app.core.logging import logger

_PATIENCE_SECONDS = 1.0


class Job:
    """One loop in this process. What it does must be safe to do in several processes at once."""

    def __init__(self, name: str, work: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
        """`work` does one piece and returns whether there may be more; what it raises is logged, and tried again."""
        self._name = name
        self._work = work
        self._every = every_seconds
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; the first look is taken at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """Makes it look now and not at its next round."""
        self._due.set()

    async def stop(self) -> None:
        """Ends the loop, also in the middle of a piece."""
        if self._task is not None:
            # Once may not be enough: what is interrupted just as it ends can swallow the word.
            while not self._task.done():
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=_PATIENCE_SECONDS)
            self._task = None

    async def _run(self) -> None:
        with acting_as("system", origin="job"):
            while True:
                self._due.clear()
                await self._work_off()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._due.wait(), self._every)

    async def _work_off(self) -> None:
        try:
            while await self._work():
                pass
        except AppError as error:  # the database is down, or not migrated yet: the next round may find it
            logger("server").warning("job.waiting", job=self._name, reason=error.detail)
        except Exception:  # noqa: BLE001  a fault in one piece must not end the job for good
            logger("server").exception("job.failed", job=self._name)
