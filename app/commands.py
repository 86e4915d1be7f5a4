"""What the commands do, as plain functions."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fastapi.routing import iter_route_contexts

from app.auth.dependencies import AnyGuard, Guard, OwnerOr, PermissionChecker, Public
from app.auth.passwords import PasswordHasher
from app.auth.sockets import SocketGuard
from app.composition import open_database, opened
from app.core.config import Environment, Settings, load_settings
from app.core.context import as_operator
from app.core.errors import Invalid
from app.core.keys import Keyring
from app.core.pagination import Page
from app.core.text import canonical_email
from app.core.transaction import UnitOfWork
from app.modules.auth.service_sessions import SessionService
from app.modules.roles.service import RoleService
from app.modules.users.schemas import UserQuery, UserRead, UserSummary
from app.modules.users.service_accounts import AccountService
from app.registry import API_PREFIX, discover, guards_at
from app.startup import seed


async def seed_database(settings: Settings) -> list[str]:
    """Privileges, roles, superuser; returns what was made. Needs only the database settings."""
    database, hasher = open_database(settings, Keyring(["no list is served here"])), PasswordHasher()
    try:
        return await seed(database, discover(), hasher, settings)
    finally:
        hasher.close()
        await database.dispose()


async def create_account(
    settings: Settings, email: str, password: str, full_name: str | None, roles: list[str]
) -> UserRead:
    """An account with these roles. Raises AppError."""
    try:
        address = canonical_email(email)
    except ValueError as error:
        raise Invalid(f"The e-mail address {error}.") from None
    async with opened(settings) as (platform, kernel):
        uow = UnitOfWork(platform.database)
        accounts = AccountService(uow, RoleService(uow, platform.catalog), kernel)
        with as_operator():
            return await accounts.create_with_roles(address, password, full_name, roles)


async def find_accounts(settings: Settings, limit: int, q: str | None) -> Page[UserSummary]:
    """The newest accounts, or those that fit."""
    async with opened(settings) as (platform, kernel):
        uow = UnitOfWork(platform.database)
        accounts = AccountService(uow, RoleService(uow, platform.catalog), kernel)
        return (await accounts.page(UserQuery(per_page=limit, q=q))).to_page()


async def clean_up_tokens(settings: Settings, keep_days: int) -> dict[str, int]:
    """Removes what can't be used any more; returns how many rows of each table."""
    async with opened(settings) as (platform, kernel):
        service = SessionService(UnitOfWork(platform.database), kernel.tokens, settings)
        with as_operator():
            return await service.clean_up(keep_days=keep_days)


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One line of the matrix: `access` is `public`, `authenticated`, or the privileges asked for."""

    module: str
    method: str
    path: str
    access: str
    note: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def route_matrix() -> list[RouteRow]:
    """Every route of every module with what its guard asks for."""
    return sorted(_rows(), key=lambda row: (row.path, row.method))


def _rows() -> Iterator[RouteRow]:
    for module in discover().modules:
        for router in module.routers:
            prefix = API_PREFIX if router is module.router else ""
            for context in iter_route_contexts(router.routes):
                (guard,) = guards_at(context)
                for method in sorted(context.methods or {"WS"}):
                    yield RouteRow(module.name, method, f"{prefix}{context.path_format}", *_access(guard))


def _access(guard: AnyGuard) -> tuple[str, str]:
    if isinstance(guard, Public):
        return "public", guard.reason
    if isinstance(guard, SocketGuard):
        return guard.privilege, "credential in the first frame"
    return _asked(guard), "no API key" if guard.in_person else ""


def _asked(guard: Guard) -> str:
    if isinstance(guard, PermissionChecker):
        flags = "".join(f" | {flag}: {privilege}" for flag, privilege in guard.instead.items())
        return guard.privilege + flags
    if isinstance(guard, OwnerOr):
        return f"owner or {' | '.join(guard.privileges)}"
    return "authenticated"


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """What one module declares. `routes`: method and path."""

    name: str
    depends_on: tuple[str, ...]
    tables: tuple[str, ...]
    privileges: tuple[str, ...]
    routes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lists(self) -> dict[str, tuple[str, ...]]:
        """For people: each list with its title."""
        return {
            "depends on": self.depends_on,
            "tables": self.tables,
            "privileges": self.privileges,
            "routes": self.routes,
        }


def module_rows() -> list[ModuleRow]:
    """Every module, lowest first."""
    rows = route_matrix()
    return [
        ModuleRow(
            name=module.name,
            depends_on=module.depends_on,
            tables=tuple(str(entity.__tablename__) for entity in module.entities),
            privileges=tuple(privilege.code for privilege in module.privileges),
            routes=tuple(f"{row.method} {row.path}" for row in rows if row.module == module.name),
        )
        for module in discover().modules
    ]


def openapi_document() -> dict[str, Any]:
    """The document, whatever the settings say of the pages."""
    from app.main import create_app  # noqa: PLC0415  the one command that builds the app

    settings = load_settings(environment=Environment.DEVELOPMENT, docs_enabled=True)
    document: dict[str, Any] = create_app(settings).openapi()
    return document
