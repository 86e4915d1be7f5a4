"""The error tree: every failure that a client may see, with its status and its stable code.

A module adds its own leaves by subclassing; `code` is part of the API (RFC 9457 problem details).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypedDict


class FieldError(TypedDict):
    """One field at fault: where it is (`["body", "email"]`), a stable code, a sentence. Never the value sent."""

    loc: Sequence[str | int]
    code: str
    message: str


class AppError(Exception):
    """Base of all problems that are answered to a client."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal server error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        """`detail` is one sentence for people; `extensions` become further members of the document."""
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extensions = extensions


class InternalError(AppError):
    """Something failed on the server. The request id finds the matching log lines."""


class BadRequest(AppError):
    """The request can't be read: broken JSON, two credentials at once, a cursor that isn't ours."""

    status, code, title = 400, "bad_request", "Bad request"


class Unauthenticated(AppError):
    """No credential was sent and this call needs one."""

    status, code, title = 401, "unauthenticated", "Not authenticated"

    def __init__(self, detail: str | None = None, **kwargs: Any) -> None:
        """Adds the challenge that RFC 6750 section 3 asks for."""
        super().__init__(detail, **kwargs)
        self.headers.setdefault("WWW-Authenticate", self.challenge())

    def challenge(self) -> str:
        """RFC 6750 3.1: no error attribute where no credential was sent at all."""
        return 'Bearer realm="api"'


class TokenInvalid(Unauthenticated):
    """The token isn't one of ours, or was altered."""

    code, title = "token_invalid", "Token invalid"

    def challenge(self) -> str:
        return f'Bearer realm="api", error="invalid_token", error_description="{self.title}"'


class InvalidCredentials(TokenInvalid):
    """E-mail address or password is wrong. The same answer for both."""

    code, title = "invalid_credentials", "Invalid credentials"

    def challenge(self) -> str:
        return 'Bearer realm="api"'


class TokenExpired(TokenInvalid):
    """The token's time is over; refresh it or log in again."""

    code, title = "token_expired", "Token expired"


class TokenRevoked(TokenInvalid):
    """The session has ended: logout, block, deletion or a changed password."""

    code, title = "token_revoked", "Token revoked"


class ApiKeyInvalid(TokenInvalid):
    """The API key is unknown, revoked or expired, or its owner is blocked or deleted."""

    code, title = "api_key_invalid", "API key invalid"


class TokenReused(TokenInvalid):
    """A spent refresh token was presented again. Its whole session has been ended."""

    code, title = "token_reused", "Token reused"


class Forbidden(AppError):
    """The caller is known but may not do this; `required` names the privilege where one is missing."""

    status, code, title = 403, "forbidden", "Forbidden"

    def __init__(self, detail: str | None = None, *, required: str | None = None, **kwargs: Any) -> None:
        """With `required`, the answer carries RFC 6750's insufficient_scope challenge."""
        if required is not None:
            detail = detail or f"This needs the privilege {required}."
            kwargs["required"] = required
            kwargs["headers"] = {
                "WWW-Authenticate": f'Bearer realm="api", error="insufficient_scope", scope="{required}"'
            }
        super().__init__(detail, **kwargs)


class PasswordChangeRequired(Forbidden):
    """An administrator has set the password: until it is changed, nothing but that and logout is allowed."""

    code, title = "password_change_required", "Password change required"


class AccountBlocked(Forbidden):
    """The account is blocked. Told only at login, and only after the right password."""

    code, title = "account_blocked", "Account blocked"


class RegistrationClosed(Forbidden):
    """Self-registration is switched off on this server."""

    code, title = "registration_closed", "Registration closed"


class NotFound(AppError):
    """There is no such thing, or the caller may not know of it."""

    status, code, title = 404, "not_found", "Not found"


class MethodNotAllowed(AppError):
    """The resource exists but not with this method; `Allow` lists those it has."""

    status, code, title = 405, "method_not_allowed", "Method not allowed"


class NotAcceptable(AppError):
    """The answer can't be given in any form that `Accept` admits."""

    status, code, title = 406, "not_acceptable", "Not acceptable"


class Conflict(AppError):
    """The change contradicts the present state: taken, changed in between, or not allowed on itself."""

    status, code, title = 409, "conflict", "Conflict"


class LastSuperuser(Conflict):
    """The last active superuser can't be blocked, deleted or stripped."""

    code, title = "last_superuser", "Last superuser"


class InUse(Conflict):
    """Something else still refers to this."""

    code, title = "in_use", "In use"


class PayloadTooLarge(AppError):
    """The request's body is over the limit."""

    status, code, title = 413, "payload_too_large", "Payload too large"


class UnsupportedMediaType(AppError):
    """The body isn't of a type that this call reads."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(AppError):
    """The request was read, but single fields are at fault; `errors` names them."""

    status, code, title = 422, "validation_error", "Validation error"

    @classmethod
    def field(cls, name: str, message: str, code: str = "invalid", where: str = "body") -> "Invalid":
        """An error at one field."""
        return cls(message, errors=[{"loc": [where, name], "code": code, "message": message}])

    @classmethod
    def entries(cls, name: str, indexes: Sequence[int], message: str, code: str = "invalid") -> "Invalid":
        """An error at entries of a list in the body, told by their places: what was sent is not echoed."""
        return cls(
            message,
            errors=[{"loc": ["body", name, i], "code": code, "message": message} for i in indexes[:20]],
        )


class WeakPassword(Invalid):
    """The password is too short, too long, or made of what everybody knows about the account."""

    code, title = "weak_password", "Weak password"


class CompromisedPassword(Invalid):
    """The password is in the list of common and breached passwords."""

    code, title = "compromised_password", "Compromised password"


class RateLimited(AppError):
    """Too many requests; `Retry-After` says how many seconds to wait."""

    status, code, title = 429, "rate_limited", "Rate limited"

    def __init__(self, detail: str | None = None, *, retry_after_seconds: float = 1, **kwargs: Any) -> None:
        """Rounded up to whole seconds, so that who waits that long is let in."""
        super().__init__(detail, **kwargs)
        self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_seconds)))


class Unavailable(AppError):
    """A part that this call needs is down or overloaded; `Retry-After` says when to try again."""

    status, code, title = 503, "unavailable", "Unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_seconds: int = 2, **kwargs: Any) -> None:
        """`retry_after_seconds`: whole seconds, at least 1."""
        super().__init__(detail, **kwargs)
        self.headers["Retry-After"] = str(max(1, retry_after_seconds))


class SchemaNotCurrent(Unavailable):
    """The database lacks tables or columns of this program: it waits to be migrated."""

    def __init__(self) -> None:
        """Always the same sentence."""
        super().__init__("The schema is not current; run `python -m app init-db`.", retry_after_seconds=5)


def _leaves(cls: type[AppError]) -> Iterator[type[AppError]]:
    for child in cls.__subclasses__():
        yield child
        yield from _leaves(child)


def catalog() -> list[type[AppError]]:
    """Every problem the API can answer, ordered by status and code; modules' own classes included once loaded."""
    by_code: dict[str, type[AppError]] = {}
    for leaf in _leaves(AppError):
        by_code.setdefault(leaf.code, leaf)  # a class that only says more of another one shares its code
    return sorted(by_code.values(), key=lambda c: (c.status, c.code))


def by_status(status: int) -> type[AppError]:
    """The plain class of a status, for what the framework itself refuses."""
    found = {c.status: c for c in reversed(catalog()) if c.__base__ is AppError}
    return found.get(status, InternalError if status >= 500 else BadRequest)  # noqa: PLR2004
