"""Who is on the stage of a round: a user, made by an app of this process, and everything that user has in use."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from secrets import token_urlsafe
from uuid import uuid4

from app.core.clock import now
from app.core.transaction import UnitOfWork
from app.modules.auth.models import PasswordReset
from app.modules.auth.repository_resets import ResetRepository
from app.modules.auth.service_resets import LINK_LIFE
from app.modules.roles.service import RoleService
from app.modules.users.service_accounts import AccountService
from tests.api import Api, Caller
from tests.hammering.load import ALIVE, Bearer, Family, Fate, Probe
from tests.hammering.ways import Scene, Way
from tests.hammering.wire import Wire, request

_LIST = "users?per_page=1"


async def scene_for(way: Way, api: Api, admin: Caller) -> Scene:
    """A new user with what this way takes away."""
    code = f"probe{uuid4().hex[:12]}:use" if way.takes_privilege else ""
    if code:
        assert (await admin.post("privileges", {"code": code})).status_code == 201
    user = await api.user(*([] if way.modules else [code or "users:read"]), modules=way.modules)
    detail = (await admin.get(f"users/{user.id}")).json()
    return Scene(
        admin=admin,
        user=user,
        other=await api.login(user.email),
        key=await user.with_key(**({"privileges": ["users:read"]} if way.fates.rights else {})),
        session_id=(await user.get("auth/me")).json()["session_id"],
        role_id=detail["roles"][0]["id"],
        link=await _mailed_link(api, user) if way.opens_link else "",
        code=code,
    )


async def _mailed_link(api: Api, user: Caller) -> str:
    """The token of a link that was mailed to the user; it stands in the database as if it had been."""
    token, moment = token_urlsafe(32), now()
    uow = UnitOfWork(api.app.platform.database)
    accounts = AccountService(uow, RoleService(uow, api.app.platform.catalog), api.app.kernel)
    account = await accounts.find_account(user.email)
    assert account is not None
    link = PasswordReset(
        email=user.email,
        created_at=moment,
        due_at=None,
        user_pk=account.pk,
        token_hash=hashlib.sha256(token.encode()).hexdigest(),
        expires_at=moment + LINK_LIFE,
    )
    async with uow.transaction():
        await ResetRepository(uow).add(link)
    return token


@dataclass(frozen=True)
class Stage:
    """The ports of the workers: where things are taken away, and where they are used, most of them."""

    here: int
    there: int

    def probes(self, way: Way, scene: Scene) -> Iterator[Probe]:
        """Every credential of the scene whose fate is told."""
        fates, proof = way.fates, scene.code.encode()
        access, key, other = scene.user.headers, scene.key.headers, scene.other.headers
        yield self._bearer("access token", fates.access, access, proof=proof)
        yield self._bearer("API key", fates.key, key, proof=proof)
        yield self._family("refresh token", fates.refresh, scene.user)
        if fates.rights is not None:
            yield self._bearer("right by access token", fates.rights, access, _LIST)
            yield self._bearer("right by API key", fates.rights, key, _LIST)
        if fates.other_access is not None:
            yield self._bearer("other access token", fates.other_access, other)
        if fates.other_refresh is not None:
            yield self._family("other refresh token", fates.other_refresh, scene.other)

    def _bearer(
        self, name: str, fate: Fate, headers: dict[str, str], path: str = "auth/me", *, proof: bytes = b""
    ) -> Bearer:
        return Bearer(name, fate, self._wires(fate), proof, asked=request("GET", path, headers=headers))

    def _family(self, name: str, fate: Fate, caller: Caller) -> Family:
        """Copies go to different workers."""
        return Family(name, fate, self._wires(fate)[:2], token=caller.refresh_token)

    def _wires(self, fate: Fate) -> list[Wire]:
        """One connection for what stays, so that the load is on what ends."""
        ports = (self.there,) if fate is ALIVE else (self.there, self.here, self.there)
        return [Wire(port) for port in ports]
