"""Forgotten passwords as their owners see them: an app with a real mail server, and the links that arrive there.

The job is stopped: a test lets it work when it wants to, so that nothing has to be waited for.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog
from structlog.testing import capture_logs

from app.core.context import acting_as
from tests.api import Api, Caller, assert_problem
from tests.backend import Backend, RunningApp, run_app
from tests.conftest import settings_for
from tests.mailbox import Letter, Mailbox

BASE_URL = "https://accounts.example.com/tessera"
NEW_PASSWORD = "walrus drinks seven cold teas"
_LINK = re.compile(r"\S+/reset-password#token=(\S+)")


@dataclass(eq=False)
class Office:
    """One worker, and the mailbox where its mails arrive."""

    app: RunningApp
    box: Mailbox
    api: Api

    async def ask(self, email: str, **headers: str) -> httpx2.Response:
        """Says that the password was forgotten. Asserts that it is taken in."""
        answer = await self.api.post("auth/password/forgot", {"email": email}, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer

    async def work(self) -> None:
        """One round of the job, as far as it comes."""
        with acting_as("system", origin="job"):
            await self.app.kernel.reset_mails._work_off()

    def letters_to(self, email: str) -> list[Letter]:
        return [letter for letter in self.box.letters if letter.recipients == [email]]

    async def link_for(self, user: Caller) -> str:
        """The token of a link that was asked for and has arrived."""
        before = len(self.letters_to(user.email))
        await self.ask(user.email)
        await self.work()
        letters = self.letters_to(user.email)
        assert len(letters) == before + 1
        return token_of(letters[-1].text)

    async def reset(self, token: str, password: str = NEW_PASSWORD) -> httpx2.Response:
        """Uses a link."""
        return await self.api.post("auth/password/reset", {"token": token, "new_password": password})

    async def assert_good(self, token: str, password: str = NEW_PASSWORD) -> None:
        """The link works."""
        answer = await self.reset(token, password)
        assert answer.status_code == 204, answer.text

    async def assert_dead(self, token: str) -> None:
        """The link doesn't work (any more)."""
        assert_problem(await self.reset(token), 400, "bad_request")

    def clear(self) -> None:
        self.box.letters.clear()


def token_of(text: str) -> str:
    """The token of the one link in a mail."""
    (token,) = _LINK.findall(text)
    return str(token)


@contextmanager
def told() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged in the block, with what the suite's level leaves out."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    try:
        with capture_logs() as logs:
            yield logs
    finally:
        structlog.configure(wrapper_class=before)


@asynccontextmanager
async def office_at(url: str, box: Mailbox, **settings: Any) -> AsyncIterator[Office]:
    """A worker on this database, whose mails go to this box."""
    given = {"smtp_url": box.url, "public_base_url": BASE_URL, **settings}
    async with run_app(settings_for(url, "", **given)) as app:
        await app.kernel.reset_mails.stop()
        yield Office(app, box, Api(app))


@asynccontextmanager
async def open_office(backend: Backend, **settings: Any) -> AsyncIterator[Office]:
    """A worker on a database of its own, with a mailbox of its own."""
    with Mailbox() as box:
        async with office_at(backend.new_database(), box, **settings) as office:
            yield office
