"""People with accounts: most of them active, some blocked, some gone. All of them have the same password."""

import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from sqlmodel import col, select

from app.core.clock import now
from app.core.transaction import UnitOfWork
from app.modules.roles.models import Role, UserRole
from app.modules.users.models import User
from seeds.field import Field, Progress, Seed, instants, words

DOMAIN = "people.example"  # reserved (RFC 2606): no mail to it ever reaches anybody
PASSWORD = "demo tiles in many colours"  # noqa: S105  of accounts that only development has
BLOCKED, DELETED, NEVER_CAME = 0.05, 0.04, 0.1
_CHUNK = 500
_REASONS = ("Left the company.", "Lost the laptop.", "Sent spam.", "Asked for it.", None)
# How the roles are spread; who has none of these has the one of everybody.
_SHARES = (
    *(("reader", 0.30), ("editor", 0.25), ("curator", 0.06), ("support", 0.05)),
    *(("people", 0.03), ("access", 0.02), ("operations", 0.02), ("auditor", 0.01), ("admin", 0.01)),
)
_FIRST = words(
    "Ada Aisha Akira Alejandro Amara Anna Anders Antonio Aoife Arjun Ayşe Beatriz Björn Carlos Chiara Chloé Daniel "
    "Dimitra Elif Emeka Emma Erik Fatima Felix Fiona Gabriel Giulia Grace Hana Hans Hassan Hiroshi Ines Ingrid Ivan "
    "Jamal Jana José Julia Kaito Karim Katarzyna Kofi Lars Leila Léa Linh Luca Lucía Magda María Mateo Mei Mia "
    "Miguel Mila Mohammed Nadia Naomi Niamh Nikolai Noah Nora Olga Oluwaseun Omar Paul Priya Rafael Rania Robert "
    "Rosa Ruth Sakura Samuel Sara Sofía Søren Stella Tariq Teresa Thandiwe Thomas Tomás Uma Valentina Viktor Wei "
    "Xavier Yara Yusuf Zeynep Zoë"
)
_LAST = words(
    "Abbas Adeyemi Almeida Andersson Bauer Becker Bianchi Brown Castillo Chen Cohen Costa Dąbrowski Diaz Dubois "
    "Eriksson Evans Fernández Fischer Garcia González Gupta Haddad Hansen Hernández Hoffmann Horvat Hughes Ibrahim "
    "Ito Ivanova Jensen Johnson Jones Kaya Khan Kim Kowalska Kumar Larsen Laurent Lee López Martin Meyer Mensah "
    "Moreau Müller Murphy Nakamura Nguyen Novák Nwosu Okafor Oliveira Olsen Papadopoulos Park Patel Pereira Petrov "
    "Popescu Ramirez Reyes Rossi Sato Schmidt Schneider Silva Singh Smith Sokolov Suzuki Svensson Takahashi Tanaka "
    "Thompson Torres Tran Vargas Virtanen Walker Wang Weber Williams Wilson Yamamoto Demir Young Zhang Zimmermann"
)
_FOLDED = str.maketrans({"ø": "o", "Ø": "O", "ł": "l", "ß": "ss"})


def people(random: Random) -> Iterator[tuple[str, str]]:
    """Full names with addresses, without end, no address twice."""
    taken: set[str] = set()
    while True:
        first, last = random.choice(_FIRST), random.choice(_LAST)
        plain = unicodedata.normalize("NFD", f"{first}.{last}".translate(_FOLDED))
        local = "".join(char for char in plain if char.isascii()).lower()
        number = next(n for n in range(1, 1_000_000) if f"{local}{n if n > 1 else ''}" not in taken)
        local = f"{local}{number if number > 1 else ''}"
        taken.add(local)
        yield f"{first} {last}", f"{local}@{DOMAIN}"


async def sow(field: Field, count: int, progress: Progress) -> int:
    """Makes those of the first `count` people that never had an account."""
    random = field.random("users")
    password_hash = await field.hasher.hash(PASSWORD)
    uow = field.unit_of_work()
    async with uow.transaction():
        roles = await _roles(uow)
        statement = select(User.email).where(col(User.email).endswith(f"@{DOMAIN}"))
        present = set((await uow.session.exec(statement)).all())
        names, moments = people(random), instants(field.random("moments"), count)
        rows = [_user(random, *next(names), moment, password_hash) for moment in moments]
        missing = [row for row in rows if row.email not in present]
        progress.advance(count - len(missing))
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            uow.session.add_all(chunk)
            await uow.session.flush()
            uow.session.add_all(_links(random, chunk, roles))
            await uow.session.flush()
            progress.advance(len(chunk))
    return len(missing)


async def _roles(uow: UnitOfWork) -> dict[str, int]:
    """Keys of the live roles by name."""
    rows = await uow.session.exec(select(Role).where(col(Role.deleted_at).is_(None)))
    return {role.name: role.pk for role in rows.all() if role.pk is not None}


def _user(random: Random, full_name: str, email: str, made_at: datetime, password_hash: str) -> User:
    """Chance is asked equally often for everybody, so that each stays who they are."""
    blocked, deleted, came, moment = (random.random() for _ in range(4))
    reason = random.choice(_REASONS)
    end = now()
    changed_at = made_at + (end - made_at) * moment
    return User(
        email=email,
        full_name=full_name,
        password_hash=password_hash,
        created_at=made_at,
        updated_at=changed_at if min(blocked, deleted) < BLOCKED else made_at,
        is_blocked=blocked < BLOCKED,
        blocked_reason=reason if blocked < BLOCKED else None,
        deleted_at=changed_at if deleted < DELETED else None,
        last_login_at=None if came < NEVER_CAME else min(changed_at + timedelta(hours=1), end),
    )


def _links(random: Random, users: list[User], roles: dict[str, int]) -> Iterator[UserRole]:
    """Everybody has the role of everybody; most have one of their work besides."""
    for user in users:
        names, point = ["regular"], random.random()
        for name, share in _SHARES:
            if 0 <= point < share:
                names.append(name)
            point -= share
        for name in names:
            if name in roles and user.pk is not None:
                yield UserRole(user_pk=user.pk, role_pk=roles[name])


async def living(uow: UnitOfWork) -> list[tuple[int, UUID, datetime]]:
    """Key, id and day of entry of the demo's people who can own things, for other seeds."""
    statement = (
        select(User.pk, User.id, User.created_at)
        .where(col(User.email).endswith(f"@{DOMAIN}"), col(User.deleted_at).is_(None))
        .order_by(col(User.pk))
    )
    return [
        (pk, id, made_at) for pk, id, made_at in (await uow.session.exec(statement)).all() if pk is not None
    ]


SEED = Seed("users", sow, count=400, after=("roles",))
