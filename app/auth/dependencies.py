"""The guards. Each route has exactly one; it names what it asks for, so that start-up can check it.

`public(reason)` lets everybody in, `authenticated` any caller, `PermissionChecker(P)` who holds P, and
`OwnerOr(P)` any caller, whose service then asks for P unless the thing is the caller's own. `in_person=True`
refuses API keys: they manage neither credentials nor rights. WebSockets have a guard of their own (`SocketGuard`).
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from fastapi import Depends, Request
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.params import Depends as DependsMarker
from fastapi.security.base import SecurityBase

from app.auth.api_keys import looks_like_key
from app.auth.callers import caller_of, introduce
from app.auth.ports import Kernel
from app.auth.principal import Credential, Principal
from app.auth.sockets import SocketGuard
from app.core.clients import network_of
from app.core.errors import BadRequest, PasswordChangeRequired, Unauthenticated
from app.core.routing import refuse_malformed

TOKEN_URL = "api/v1/auth/token"  # noqa: S105  relative, so that it also holds behind a path prefix
_FALSE = {"", "false"}
_SCHEMES = {b"authorization", b"x-api-key"}


def credential_of(request: Request) -> Credential | None:
    """The credential of the headers, or None. Never read from anywhere else (RFC 6750 2).

    Raises BadRequest for two credentials at once, whatever their kinds.
    """
    found = [(name, value) for name, value in request.scope["headers"] if name in _SCHEMES]
    if not found:
        return None
    if len(found) > 1:
        raise BadRequest("Send one credential, not two.")
    name, text = found[0][0], found[0][1].decode("latin-1")
    if name == b"x-api-key":
        return Credential(text.strip(), is_key=True)
    scheme, _, token = text.partition(" ")
    token = token.strip()
    return Credential(token, looks_like_key(token)) if scheme.lower() == "bearer" and token else None


def kernel_of(request: Request) -> Kernel:
    """The security kernel of the app that got this request."""
    found: Kernel = request.app.state.kernel
    return found


async def identify(request: Request) -> Principal:
    """The caller. Raises Unauthenticated and other 401s; fills in the request's context."""
    credential = credential_of(request)
    if credential is None:
        raise Unauthenticated("This call needs a credential: Authorization: Bearer, or X-API-Key.")
    principal = await caller_of(kernel_of(request), credential)
    introduce(principal, request.scope["request_context"])
    return principal


async def admit(request: Request, caller: str) -> None:
    """Counts the call towards the caller's general limit, where there is one. Raises RateLimited."""
    limiter = kernel_of(request).limiter
    if limiter is not None:
        request.scope["rate_allowance"] = await limiter.admit(caller)


class Guard(SecurityBase):
    """Base of the guards that need a caller. `privileges`: those that it, or its service, may ask for.

    `in_person`: API keys are refused. `during_change`: lets in who must change their password first.
    """

    model = OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl=TOKEN_URL, scopes={})))
    scheme_name: str = "login"
    privileges: tuple[str, ...] = ()

    def __init__(self, *, in_person: bool = False, during_change: bool = False) -> None:
        """Lets any caller in, within these bounds."""
        self.in_person = in_person
        self.during_change = during_change

    async def __call__(self, request: Request) -> Principal:
        """The caller, let in. Raises Forbidden, PasswordChangeRequired, RateLimited."""
        principal = await identify(request)
        await admit(request, f"user:{principal.user_id}")
        if principal.must_change_password and not self.during_change:
            raise PasswordChangeRequired("Change your password first: POST /users/me/change-password.")
        if self.in_person:
            principal.require_person()
        self.check(principal, request)
        refuse_malformed(request)
        return principal

    def check(self, principal: Principal, request: Request) -> None:
        """What a subclass asks besides. Raises Forbidden."""


class PermissionChecker(Guard):
    """Asks for a privilege; with `hard=P2` for P2 instead of it where the query says `hard`. That alone is enough."""

    def __init__(self, privilege: str, *, in_person: bool = False, **instead: str) -> None:
        """`instead`: query flags and the privilege that each asks for."""
        super().__init__(in_person=in_person)
        self.privilege = privilege
        self.instead = instead
        self.privileges = (privilege, *instead.values())

    async def __call__(self, request: Request) -> Principal:
        """As for any caller; the context knows what was asked for, also where nobody is let in."""
        request.scope["request_context"].privilege = self.required(request)
        return await super().__call__(request)

    def check(self, principal: Principal, request: Request) -> None:
        """Raises Forbidden, which names the privilege that is missing."""
        principal.require(request.scope["request_context"].privilege)

    def required(self, request: Request) -> str:
        """The privilege for this request. Whatever isn't plainly false counts as the flag being set."""
        for flag, privilege in self.instead.items():
            if any(value not in _FALSE for value in request.query_params.getlist(flag)):
                return privilege
        return self.privilege


class OwnerOr(Guard):
    """Any caller; the service asks for the privilege unless the thing is the caller's own."""

    def __init__(self, *privileges: str) -> None:
        """`privileges`: what others need."""
        super().__init__()
        self.privileges = privileges


class Public:
    """Lets everybody in, and says why."""

    privileges: ClassVar[tuple[str, ...]] = ()

    def __init__(self, reason: str) -> None:
        """`reason`: one sentence, printed by `python -m app routes`."""
        self.reason = reason

    async def __call__(self, request: Request) -> None:
        """Looks at the form of the request, and counts it for the client's network."""
        if request.scope["path"].startswith(request.app.state.api_prefix):  # probes are never turned away
            await admit(request, f"address:{network_of(request.scope['request_context'].client_ip)}")
        refuse_malformed(request)


def public(reason: str) -> DependsMarker:
    """For `dependencies=[public("…")]` of a route."""
    marker: DependsMarker = Depends(Public(reason))
    return marker


authenticated = Guard()
Caller = Annotated[Principal, Depends(authenticated)]
Person = Annotated[Principal, Depends(Guard(in_person=True))]
Changing = Annotated[Principal, Depends(Guard(in_person=True, during_change=True))]
AnyGuard = Guard | Public | SocketGuard


def guards_of(dependant: object) -> Iterator[AnyGuard]:
    """Every guard in a route's tree of dependencies."""
    for inner in getattr(dependant, "dependencies", ()):
        if isinstance(inner.call, AnyGuard):
            yield inner.call
        yield from guards_of(inner)
