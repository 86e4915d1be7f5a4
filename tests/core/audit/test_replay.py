"""Random programs of everything that writes: folding the log over the state before gives the state after."""

import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import selectinload
from sqlmodel import select

from app.core.audit import hooks
from app.core.audit.capture import Capture, Flush
from app.core.audit.cascades import Cascades
from app.core.transaction import UnitOfWork, WriteSession
from tests.conftest import FULL
from tests.core.audit.conftest import World
from tests.core.audit.world import Gauge, Note, Owner, Part, Probe, Tag, Task, tagged

PROGRAMS = 400 if FULL else 25  # on each database
STEPS = 25
COLOURS = ("red", "green", "blue", "grey", "black")


class Player:
    """One random program. The same seed gives the same program, whatever the database."""

    def __init__(self, seed: int, session: WriteSession, uow: UnitOfWork) -> None:
        self.chance = random.Random(seed)
        self.session = session
        self.uow = uow
        self.names = 0

    async def play(self, steps: int, depth: int = 0) -> None:
        for _ in range(steps):
            await self.chance.choice(STEPS_OF_ALL_KINDS)(self)
            if depth < 2 and self.chance.random() < 0.1:
                await self.in_savepoint(depth)

    async def in_savepoint(self, depth: int) -> None:
        """A part that is kept, or undone as a whole."""
        is_undone = self.chance.random() < 0.5
        try:
            async with self.uow.savepoint():
                await self.play(4, depth + 1)
                await self.session.flush()
                _take_back(is_undone=is_undone)
        except Undone:
            self.session.expire_all()

    def name(self) -> str:
        self.names += 1
        return f"{self.chance.choice(COLOURS)}-{self.names}-{self.chance.randrange(10**9)}"

    async def keys(self, model: type[Probe]) -> Sequence[Any]:
        column: Any = vars(model)["code" if model is Gauge else "pk"]
        return (await self.session.exec(select(column).order_by(column))).all()

    async def any(self, model: type[Any]) -> Any | None:
        keys = await self.keys(model)
        return await self.session.get(model, self.chance.choice(keys)) if keys else None

    async def any_key(self, model: type[Probe]) -> Any | None:
        keys = await self.keys(model)
        return self.chance.choice(keys) if keys else None

    # what can be done

    async def add_owner(self) -> None:
        self.session.add(Owner(name=self.name()))

    async def add_task(self) -> None:
        owner, parent = await self.any_key(Owner), await self.any_key(Task)
        self.session.add(Task(title=self.name(), owner_pk=owner, parent_pk=parent, notes=self.name()))

    async def add_note(self) -> None:
        self.session.add(Note(text=self.name() * 50, owner_pk=await self.any_key(Owner)))

    async def add_part(self) -> None:
        if (owner := await self.any_key(Owner)) is not None:
            self.session.add(Part(owner_pk=owner))

    async def add_gauge(self) -> None:
        amount = Decimal(self.chance.randrange(10**6)) / 100
        self.session.add(
            Gauge(code=self.name()[-20:], amount=amount, extra={"n": [1]}, api_token=self.name())
        )

    async def change_owner(self) -> None:
        if (row := await self.any(Owner)) is not None:
            row.name = self.name()
            row.deleted_at = self.chance.choice([None, datetime(2026, 1, 1, tzinfo=UTC)])
            row.seen += 1

    async def change_task(self) -> None:
        if (row := await self.any(Task)) is not None:
            row.title = self.name()
            row.counter = Task.counter + self.chance.randrange(5)

    async def change_gauge(self) -> None:
        if (row := await self.any(Gauge)) is not None:
            row.amount, row.is_on = (
                Decimal(self.chance.randrange(1000)) / 10,
                self.chance.choice([True, False, None]),
            )
            if row.extra is not None:
                row.extra[self.name()] = self.chance.random()

    async def rename_gauge(self) -> None:
        if (row := await self.any(Gauge)) is not None:
            row.code = self.name()[-20:]

    async def move_note(self) -> None:
        if (row := await self.any(Note)) is not None:
            row.owner = await self.any(Owner)

    async def change_parts(self) -> None:
        """Parts that their owner lets go of are found by the flush itself."""
        if (key := await self.any_key(Owner)) is not None:
            statement = select(Owner).where(Owner.pk == key).options(selectinload(Owner.parts))
            row = (await self.session.exec(statement.execution_options(populate_existing=True))).one()
            row.parts = row.parts[1:]
            await self.session.flush()

    async def link(self) -> None:
        key = await self.any_key(Task)
        if key is None:
            return
        statement = select(Task).where(Task.pk == key).options(selectinload(Task.tags))
        row = (await self.session.exec(statement.execution_options(populate_existing=True))).one()
        tags = (await self.session.exec(select(Tag))).all()
        row.tags = [tag for tag in tags if self.chance.random() < 0.5]
        await self.session.flush()

    async def remove_row(self) -> None:
        model = self.chance.choice([Task, Note, Part, Tag, Gauge])
        if (row := await self.any(model)) is not None:
            await self.session.delete(row)
            await self.session.flush()
            self.session.expire_all()

    async def remove_owner(self) -> None:
        if (key := await self.any_key(Owner)) is not None:
            await self.session.exec(delete(Part).where(Part.owner_pk == key))
            await self.session.exec(delete(Owner).where(Owner.pk == key))
            self.session.expire_all()

    async def bulk_insert(self) -> None:
        await self.session.exec(insert(Tag), params=[{"name": self.name()} for _ in range(3)])

    async def bulk_update(self) -> None:
        some = Task.pk.in_((await self.keys(Task))[::2])
        await self.session.exec(update(Task).where(some).values(counter=Task.counter * 2 + 1))
        self.session.expire_all()

    async def bulk_update_by_keys(self) -> None:
        if keys := (await self.keys(Note))[:3]:
            await self.session.exec(update(Note), params=[{"pk": key, "text": self.name()} for key in keys])
            self.session.expire_all()

    async def bulk_delete(self) -> None:
        if (key := await self.any_key(Task)) is not None:
            await self.session.exec(delete(Task).where(Task.pk == key))
            self.session.expire_all()

    async def core_links(self) -> None:
        if (key := await self.any_key(Task)) is not None:
            await self.session.exec(tagged.delete().where(tagged.c.task_pk == key))
            tags = (await self.keys(Tag))[:2]
            if tags:
                await self.session.exec(
                    tagged.insert(), params=[{"task_pk": key, "tag_pk": tag} for tag in tags]
                )
            self.session.expire_all()

    async def flush(self) -> None:
        await self.session.flush()


class Undone(Exception):
    """A savepoint is taken back."""


def _take_back(*, is_undone: bool) -> None:
    if is_undone:
        raise Undone


Step = Callable[[Player], Awaitable[None]]
STEPS_OF_ALL_KINDS: tuple[Step, ...] = tuple(
    step
    for name, step in vars(Player).items()
    if name.startswith(("add_", "change_", "bulk_", "remove_", "core_"))
    or name in {"move_note", "link", "flush", "rename_gauge"}
)


async def play(world: World, seed: int) -> int:
    """One program, and the oracle's word on it; how many rows it left in the log."""

    async def program(session: WriteSession, uow: UnitOfWork) -> None:
        await Player(seed, session, uow).play(STEPS)

    return len(await world.does(program))


async def test_log_replays_every_program(world: World) -> None:
    assert await all_programs(world) > PROGRAMS * 10


async def all_programs(world: World) -> int:
    """All of them, one after the other in one database; how many rows they left. Raises with the seed."""
    told = 0
    for seed in range(PROGRAMS):
        try:
            told += await play(world, seed)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    return told


def _nothing(*_args: Any, **_options: Any) -> None:
    return None


HOOKS: dict[str, tuple[Any, str, Any]] = {
    "rows of the unit of work": (hooks, "_touch", _nothing),
    "rows that a flush finds late": (hooks, "_read_late", lambda _target: (None, None)),
    "links of relationships": (Flush, "link", _nothing),
    "links that end": (Flush, "unlink", _nothing),
    "cascades": (Cascades, "from_deleted", _nothing),
    "bulk statements": (hooks, "execute_captured", lambda *_: None),
    "savepoints": (Capture, "undo", _nothing),
}


@pytest.mark.parametrize("name", HOOKS)
async def test_missing_hook_is_found(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    owner, attribute, without = HOOKS[name]
    monkeypatch.setattr(owner, attribute, without)
    with pytest.raises(
        Exception, match=r"(?s).*"
    ):  # each fails in its own way: the oracle, the guard, the program
        await all_programs(world)
