"""The calls below `/auth`."""

from typing import Annotated

from fastapi import Depends, Request, Response

from app.auth.dependencies import Caller, bearer_token, kernel_of, public
from app.core.answers import secret
from app.core.platform import platform_of, uow_of
from app.core.routing import ModuleRouter
from app.modules.auth.oauth import TOKEN_DOCS, Grant, oauth_form, oauth_response
from app.modules.auth.schemas import Login, Logout, Me, Refresh, Register, Tokens
from app.modules.auth.service import AuthService
from app.modules.auth.service_sessions import SessionService
from app.modules.roles.service import RoleService
from app.modules.users.schemas import UserRead
from app.modules.users.service_accounts import AccountService

router = ModuleRouter("/auth", tags=["auth"])


async def _service(request: Request) -> AuthService:
    uow, platform, kernel = uow_of(request), platform_of(request), kernel_of(request)
    sessions = SessionService(uow, kernel.tokens, platform.settings)
    roles = RoleService(uow, platform.catalog)
    min_length = platform.settings.password_min_length
    accounts = AccountService(uow, roles, sessions, kernel.hasher, min_length)
    return AuthService(uow, accounts, sessions, kernel.hasher, kernel.tokens)


Service = Annotated[AuthService, Depends(_service)]


async def _registration_is_open(service: Service, request: Request) -> None:
    """Asked before the body is looked at: 403 comes before 422."""
    service.require_registration(is_open=platform_of(request).settings.registration == "open")


@router.post(
    "/register",
    status_code=201,
    dependencies=[public("Nobody has an account before they register."), Depends(_registration_is_open)],
)
async def register(data: Register, service: Service, request: Request, response: Response) -> UserRead:
    """Makes an account of one's own, with the role `regular`."""
    user = await service.register(data)
    response.headers["Location"] = request.scope["path"].replace("/auth/register", f"/users/{user.id}")
    return user


@router.post("/login", dependencies=[public("Who logs in has no credential yet.")])
async def login(data: Login, service: Service, response: Response) -> Tokens:
    """Tokens for e-mail address and password. Wrong address and wrong password get the same answer."""
    secret(response)
    return await service.login(data.email, data.password)


@router.post(
    "/token",
    response_model=Tokens,
    openapi_extra=TOKEN_DOCS,
    dependencies=[public("The OAuth 2.0 form of login and refresh.")],
)
async def issue_token(grant: Annotated[Grant, Depends(oauth_form)], service: Service) -> Response:
    """OAuth 2.0 token endpoint (RFC 6749): grants `password` and `refresh_token`; its errors are those of the RFC."""
    return await oauth_response(grant, service)


@router.post("/refresh", dependencies=[public("The refresh token in the body is the credential.")])
async def refresh(data: Refresh, service: Service, response: Response) -> Tokens:
    """A new pair for a refresh token, which is spent by that.

    A retry within the grace period gets the same pair's refresh token again; any other use of a spent token ends
    the session.
    """
    secret(response)
    return await service.sessions.refresh(data.refresh_token)


@router.post(
    "/logout",
    status_code=204,
    dependencies=[public("Takes expired and revoked tokens too; without any: 401.")],
)
async def logout(request: Request, service: Service, data: Logout | None = None) -> None:
    """Ends this session: its refresh tokens and its access tokens. May be repeated."""
    await service.logout(bearer_token(request), data.refresh_token if data else None)


@router.post("/logout-all", status_code=204)
async def logout_all(service: Service, caller: Caller) -> None:
    """Ends every session of the caller."""
    await service.logout_all(caller)


@router.get("/me")
async def read_identity(service: Service, caller: Caller, response: Response) -> Me:
    """Who the presented credential stands for, and what it may."""
    secret(response)
    return await service.me(caller)
