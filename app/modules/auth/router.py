"""The calls below `/auth`."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from app.auth.dependencies import Caller, Person, credential_of, kernel_of, public
from app.core.answers import created, secret
from app.core.pagination import Page
from app.core.platform import platform_of, uow_of
from app.core.routing import ModuleRouter
from app.modules.auth.oauth import TOKEN_DOCS, Grant, oauth_form, oauth_response
from app.modules.auth.schemas import (
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyQuery,
    ApiKeyRead,
    ApiKeySummary,
    ApiKeyText,
    ForgottenPassword,
    Login,
    Logout,
    Me,
    PasswordResetting,
    Refresh,
    Register,
    SessionQuery,
    SessionRead,
    Tokens,
)
from app.modules.auth.service import AuthService
from app.modules.auth.service_keys import ApiKeyService
from app.modules.auth.service_resets import ResetService
from app.modules.auth.service_sessions import SessionService
from app.modules.roles.service import RoleService
from app.modules.users.schemas import UserRead
from app.modules.users.service_accounts import AccountService

router = ModuleRouter("/auth", tags=["auth"])


async def _service(request: Request) -> AuthService:
    uow, platform, kernel = uow_of(request), platform_of(request), kernel_of(request)
    accounts = AccountService(uow, RoleService(uow, platform.catalog), kernel)
    return AuthService(uow, accounts, SessionService(uow, kernel.tokens, platform.settings), kernel)


async def _sessions(request: Request) -> SessionService:
    return SessionService(uow_of(request), kernel_of(request).tokens, platform_of(request).settings)


async def _keys(request: Request) -> ApiKeyService:
    return ApiKeyService(uow_of(request), platform_of(request).settings.environment)


async def _resets(request: Request) -> ResetService:
    uow, kernel = uow_of(request), kernel_of(request)
    accounts = AccountService(uow, RoleService(uow, platform_of(request).catalog), kernel)
    return ResetService(uow, accounts, kernel)


Service = Annotated[AuthService, Depends(_service)]
Sessions = Annotated[SessionService, Depends(_sessions)]
Keys = Annotated[ApiKeyService, Depends(_keys)]
Resets = Annotated[ResetService, Depends(_resets)]


async def _registration_is_open(service: Service, request: Request) -> None:
    """Asked before the body is looked at: 403 comes before 422."""
    is_open = platform_of(request).settings.registration == "open"
    await service.require_registration(is_open=is_open)


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


@router.post(
    "/login",
    response_model_exclude_defaults=True,
    dependencies=[public("Who logs in has no credential yet.")],
)
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


@router.post(
    "/refresh",
    response_model_exclude_defaults=True,
    dependencies=[public("The refresh token in the body is the credential.")],
)
async def refresh(data: Refresh, service: Service, response: Response) -> Tokens:
    """A new pair for a refresh token, which is spent by that.

    A retry within the grace period gets the same pair's refresh token again; any other use of a spent token ends
    the session.
    """
    secret(response)
    return await service.refresh(data.refresh_token)


@router.post(
    "/logout",
    status_code=204,
    openapi_extra={"security": [{"login": []}, {}]},  # so that clients send the token that they have
    dependencies=[public("Takes expired and revoked tokens too; without any: 401.")],
)
async def logout(request: Request, service: Service, data: Logout | None = None) -> None:
    """Ends this session: its refresh tokens and its access tokens. May be repeated."""
    await service.logout(credential_of(request), data.refresh_token if data else None)


@router.post("/logout-all", status_code=204)
async def logout_all(service: Service, caller: Person) -> None:
    """Ends every session of the caller."""
    await service.logout_all(caller)


@router.get("/me")
async def read_identity(service: Service, caller: Caller, response: Response) -> Me:
    """Who the presented credential stands for, and what it may."""
    secret(response)
    return await service.me(caller)


@router.get("/sessions", response_model=Page[SessionRead])
async def list_sessions(
    query: Annotated[SessionQuery, Query()], service: Sessions, caller: Person, request: Request
) -> Response:
    """One's own living sessions, the one used last first; `current` is the one that asks."""
    return (await service.page(query, caller)).response(request)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: UUID, service: Sessions, caller: Person) -> None:
    """Ends one of one's own sessions: its refresh tokens and its access tokens."""
    await service.end_own(session_id, caller)


@router.post(
    "/password/forgot",
    status_code=202,
    response_class=Response,
    dependencies=[public("Who forgot the password can't log in.")],
)
async def ask_for_password_reset(data: ForgottenPassword, service: Resets) -> None:
    """Mails a link that sets a new password, once, within 30 minutes.

    The answer is the same whether or not anybody has the address.
    """
    await service.request(data.email)


@router.post(
    "/password/reset",
    status_code=204,
    dependencies=[public("The token of the mailed link is the credential.")],
)
async def reset_password(data: PasswordResetting, service: Resets) -> None:
    """Sets a new password with the token of a mailed link, and ends every session.

    A password that is refused does not spend the link.
    """
    await service.reset(data.token, data.new_password)


@router.get("/api-keys", response_model=Page[ApiKeySummary])
async def list_api_keys(
    query: Annotated[ApiKeyQuery, Query()], service: Keys, caller: Person, request: Request
) -> Response:
    """One's own API keys, the newest first, revoked ones included. Never the keys themselves."""
    return (await service.page(query, caller)).response(request)


@router.post("/api-keys", status_code=201)
async def create_api_key(
    data: ApiKeyCreate, service: Keys, caller: Person, request: Request, response: Response
) -> ApiKeyCreated:
    """Makes an API key. `key` is shown here and never again.

    `privileges` narrows what it may; it never may more than its owner at the time of use.
    """
    made = await service.create(data, caller)
    created(request, response, made.id)
    secret(response)
    return made


@router.post("/api-keys/revoke", status_code=204)
async def revoke_api_key_by_text(data: ApiKeyText, service: Keys, caller: Person) -> None:
    """Revokes one of one's own keys by the key itself, as found in a log or a repository."""
    await service.revoke_by_key(data.key, caller)


@router.get("/api-keys/{key_id}")
async def read_api_key(key_id: UUID, service: Keys, caller: Person) -> ApiKeyRead:
    """One of one's own API keys."""
    return await service.read(key_id, caller)


@router.delete("/api-keys/{key_id}", status_code=204)
async def delete_api_key(key_id: UUID, service: Keys, caller: Person) -> None:
    """Removes a key for good, from the list too."""
    await service.delete(key_id, caller)


@router.post("/api-keys/{key_id}/revoke", status_code=204)
async def revoke_api_key(key_id: UUID, service: Keys, caller: Person) -> None:
    """Ends a key from the next request on; it stays in the list as history. May be repeated."""
    await service.revoke(key_id, caller)
