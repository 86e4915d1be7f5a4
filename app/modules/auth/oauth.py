"""The OAuth 2.0 form of login and refresh (RFC 6749 4.3, 5, 6), so that standard clients work."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from fastapi import Request, Response

from app.core.errors import AppError, Conflict, Invalid, RateLimited, Unavailable, UnsupportedMediaType
from app.core.text import canonical_email
from app.modules.auth.schemas import MAX_TOKEN, OAuthError, Tokens
from app.modules.auth.service import AuthService

FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 32
_MAX_PASSWORD = 1024
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_GRANTS = ("password", "refresh_token")

TOKEN_DOCS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": list(_GRANTS)},
                        "username": {"type": "string", "description": "The e-mail address."},
                        "password": {"type": "string", "format": "password"},
                        "refresh_token": {"type": "string"},
                        "scope": {"type": "string", "description": "Accepted and ignored."},
                        "client_id": {"type": "string", "description": "Accepted and ignored."},
                        "client_secret": {"type": "string", "description": "Accepted and ignored."},
                    },
                }
            }
        },
    },
    "responses": {
        "400": {
            "description": "RFC 6749 5.2",
            "content": {"application/json": {"schema": OAuthError.model_json_schema()}},
        }
    },
}


@dataclass(frozen=True, slots=True)
class Grant:
    """What the form asks for; `refused` where it can't be read as any grant."""

    fields: dict[str, str]
    refused: OAuthError | None = None


async def oauth_form(request: Request) -> Grant:
    """The fields of the form. Raises UnsupportedMediaType for anything but a URL-encoded one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMediaType(f"The body must be {FORM}.")
    try:
        text = (await request.body()).decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        return Grant({}, _error("invalid_request", "The form can't be read."))
    fields = dict(pairs)
    if len(fields) != len(pairs):
        return Grant({}, _error("invalid_request", "A parameter was sent more than once."))
    if any("\x00" in value for value in fields.values()):
        return Grant({}, _error("invalid_request", "A parameter contains NUL."))
    return Grant(fields)


async def oauth_response(grant: Grant, service: AuthService) -> Response:
    """Tokens, or an error as in RFC 6749 5.2. Raises only what stays a problem document (429, 503)."""
    if grant.refused is not None:
        return _refusal(grant.refused)
    kind, fields = grant.fields.get("grant_type", ""), grant.fields
    needed = ("refresh_token",) if kind == "refresh_token" else ("username", "password")
    if not kind:
        return _refusal(_error("invalid_request", "grant_type is missing."))
    if kind not in _GRANTS:
        return _refusal(_error("unsupported_grant_type", f"grant_type must be one of {', '.join(_GRANTS)}."))
    if missing := [name for name in needed if not fields.get(name)]:
        return _refusal(_error("invalid_request", f"{' and '.join(missing)} missing."))
    try:
        tokens = await _tokens(kind, fields, service)
    except (RateLimited, Unavailable):
        raise
    except Conflict as error:  # a lost race: `invalid_grant` would make the client throw its token away
        raise Unavailable(error.detail, retry_after_seconds=1) from error
    except AppError as error:
        return _refusal(_error("invalid_grant", error.detail))
    return Response(
        tokens.model_dump_json(exclude_defaults=True), media_type="application/json", headers=_NO_STORE
    )


async def _tokens(kind: str, fields: dict[str, str], service: AuthService) -> Tokens:
    if kind == "refresh_token":
        if len(fields["refresh_token"]) > MAX_TOKEN:
            raise Invalid("The refresh token is not valid.")
        return await service.refresh(fields["refresh_token"])
    try:
        email = canonical_email(fields["username"][:_MAX_PASSWORD])
    except ValueError:
        email = ""  # no account has it; the password is verified all the same, for the same time
    return await service.login(email, fields["password"][:_MAX_PASSWORD])


def _error(code: str, description: str) -> OAuthError:
    return OAuthError.model_validate({"error": code, "error_description": description})


def _refusal(error: OAuthError) -> Response:
    return Response(orjson.dumps(error.model_dump()), 400, _NO_STORE, "application/json")
