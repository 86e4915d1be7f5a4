"""Only requests for this server's own names are answered."""

import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import BadRequest
from app.core.handlers import problem_response

_HOST = re.compile(rb"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")


class AllowedHostsMiddleware:
    """Exactly one well-formed `Host` (RFC 9112 3.2), and one of the allowed ones; `*.example.com` has subdomains."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        """`hosts`: names without port; `*` allows any well-formed one."""
        self.app = app
        self._any = "*" in hosts
        self._names = {host.lower() for host in hosts}
        self._suffixes = tuple(host[1:].lower() for host in hosts if host.startswith("*."))
        self._verdict = lru_cache(maxsize=256)(self._judge)  # few names are sent, again and again

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Health checks ask by address, so `/health*` is answered under any well-formed name."""
        if scope["type"] == "lifespan" or self._is_allowed(scope):
            await self.app(scope, receive, send)
            return
        problem = BadRequest("This server does not answer for that host.")
        await problem_response(problem, scope["path"])(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        sent = [value for name, value in scope["headers"] if name == b"host"]
        if len(sent) != 1:
            return False
        is_well_formed, is_ours = self._verdict(sent[0])
        return is_ours or (is_well_formed and scope["path"].startswith("/health"))

    def _judge(self, host: bytes) -> tuple[bool, bool]:
        """Whether it is a host at all, and whether it is one of ours."""
        if not _HOST.fullmatch(host):
            return False, False
        name = re.sub(r":[0-9]+$", "", host.decode().lower())
        return True, self._any or name in self._names or name.endswith(self._suffixes)
