"""The headers that every answer carries, errors included."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_CSP = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # A line of its own: an answer that varies by more has lines for that.
    (b"vary", b"Authorization"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_ALWAYS_WITH_TLS = (*_ALWAYS, (b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
# What an answer may say for itself: pages have a policy of their own, credentials forbid storing.
_DEFAULTS = (
    (b"content-security-policy", API_CSP),
    (b"cache-control", b"private, no-cache"),
)


class SecurityHeadersMiddleware:
    """Adds the fixed headers, and the defaults for those that an answer may set itself."""

    def __init__(self, app: ASGIApp) -> None:
        """Sits outside of everything that can answer."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HSTS only where the client came over TLS: over plain HTTP browsers ignore it (RFC 6797 7.2)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message["headers"])
                present = [name for name, _ in headers]
                headers += [default for default in _DEFAULTS if default[0] not in present]
                headers += _ALWAYS_WITH_TLS if scope.get("scheme") == "https" else _ALWAYS
                message["headers"] = headers
            await send(message)

        await self.app(scope, receive, send_with_headers)
