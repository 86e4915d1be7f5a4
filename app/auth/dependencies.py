"""The guards. Each route has exactly one; it names what it asks for, so that start-up can check it.

`public(reason)` lets everybody in, `authenticated` any caller, `PermissionChecker(P)` who holds P, and
`OwnerOr(P)` any caller, whose service then asks for P unless the thing is the caller's own.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from fastapi import Depends, Request
from fastapi.openapi.models import OAuth2, OAuthFlowPassword, OAuthFlows
from fastapi.params import Depends as DependsMarker
from fastapi.security.base import SecurityBase

from app.auth.ports import Kernel
from app.auth.principal import Principal
from app.core.errors import BadRequest, Unauthenticated
from app.core.routing import refuse_malformed

TOKEN_URL = "api/v1/auth/token"  # noqa: S105  relative, so that it also holds behind a path prefix
_FALSE = {"", "false"}
_CREDENTIALS = {b"authorization", b"x-api-key"}


def bearer_token(request: Request) -> str | None:
    """The bearer token of the `Authorization` header, or None. Never read from anywhere else (RFC 6750 2).

    Raises BadRequest for two credentials at once, whatever their kinds.
    """
    found = [(name, value) for name, value in request.scope["headers"] if name in _CREDENTIALS]
    if len(found) > 1:
        raise BadRequest("Send one credential, not two.")
    for name, value in found:
        scheme, _, credential = value.decode("latin-1").partition(" ")
        if name == b"authorization" and scheme.lower() == "bearer":
            return str(credential.strip())
    return None


def kernel_of(request: Request) -> Kernel:
    """The security kernel of the app that got this request."""
    found: Kernel = request.app.state.kernel
    return found


async def identify(request: Request) -> Principal:
    """The caller. Raises Unauthenticated and other 401s; fills in the request's context."""
    token = bearer_token(request)
    if not token:
        raise Unauthenticated("This call needs a credential: Authorization: Bearer <access token>.")
    principal = await kernel_of(request).authenticator.authenticate(token)
    context = request.scope["request_context"]
    context.actor_type, context.actor_id = "user", principal.user_id
    context.session_id = principal.session_id
    return principal


class Guard(SecurityBase):
    """Base of the guards that need a caller. `privileges`: those that it, or its service, may ask for."""

    model = OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl=TOKEN_URL, scopes={})))
    scheme_name: str = "login"
    privileges: tuple[str, ...] = ()

    async def __call__(self, request: Request) -> Principal:
        """The caller, let in."""
        principal = await identify(request)
        refuse_malformed(request)
        return principal


class PermissionChecker(Guard):
    """Asks for a privilege; with `hard=P2` for P2 instead of it where the query says `hard`. That alone is enough."""

    def __init__(self, privilege: str, **instead: str) -> None:
        """`instead`: query flags and the privilege that each asks for."""
        self.privilege = privilege
        self.instead = instead
        self.privileges = (privilege, *instead.values())

    async def __call__(self, request: Request) -> Principal:
        """The caller, who holds the privilege. Raises Forbidden, which names it."""
        principal = await identify(request)
        principal.require(self.required(request))
        refuse_malformed(request)
        return principal

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
        self.privileges = privileges


class Public:
    """Lets everybody in, and says why."""

    privileges: ClassVar[tuple[str, ...]] = ()

    def __init__(self, reason: str) -> None:
        """`reason`: one sentence, printed by `python -m app routes`."""
        self.reason = reason

    async def __call__(self, request: Request) -> None:
        """Only looks at the form of the request."""
        refuse_malformed(request)


def public(reason: str) -> DependsMarker:
    """For `dependencies=[public("…")]` of a route."""
    marker: DependsMarker = Depends(Public(reason))
    return marker


authenticated = Guard()
Caller = Annotated[Principal, Depends(authenticated)]
AnyGuard = Guard | Public


def guards_of(dependant: object) -> Iterator[AnyGuard]:
    """Every guard in a route's tree of dependencies."""
    for inner in getattr(dependant, "dependencies", ()):
        if isinstance(inner.call, (Guard, Public)):
            yield inner.call
        yield from guards_of(inner)
