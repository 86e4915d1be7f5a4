"""What is known of the request under way: one mutable object, set by the outermost middleware.

Mutable, because tasks and dependencies run in copies of the context: they all share this one object.
"""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

_MAX_NAME = 64
Origin = Literal["request", "background", "cli", "migration", "job"]


@dataclass(slots=True)
class RequestContext:
    """Who asks, from where, under which request id. `actor_id` is None until a guard has let the caller in.

    `origin`: of a request `background` as soon as its answer is sent, for what is written after that.
    `actor_name`: who acts without having an account here: an operator by the name of the operating system, a revision.
    `privilege`: what the guard asked for. `route`: what was found for the path. `error_class`: the name of the
    exception that ended the request, never its message.
    """

    request_id: str | None = None
    origin: Origin = "request"
    actor_id: UUID | None = None
    actor_type: str = "anonymous"
    actor_name: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    session_id: UUID | None = None
    api_key_id: UUID | None = None
    auth_method: str | None = None
    privilege: str | None = None
    route: object | None = None
    error_class: str | None = None
    reason: str | None = None


_EMPTY = RequestContext(actor_type="unknown")
_current: ContextVar[RequestContext] = ContextVar("request_context", default=_EMPTY)


def current() -> RequestContext:
    """The context of this request or job; outside of any, an empty one that must not be written to."""
    return _current.get()


def is_user(user_id: UUID, method: str, session_id: UUID | None = None) -> None:
    """The request's caller has proved who they are without a credential in its headers: by password, token, link."""
    context = _current.get()
    if context is not _EMPTY:
        context.actor_type, context.actor_id, context.auth_method = "user", user_id, method
        context.session_id = session_id or context.session_id


def enter(context: RequestContext) -> None:
    """Makes `context` the current one for this task and those it starts."""
    _current.set(context)


@contextmanager
def acting_as(
    actor_type: str, *, origin: Origin, actor_id: UUID | None = None, actor_name: str | None = None
) -> Iterator[RequestContext]:
    """A context for work outside of requests: commands, jobs, migrations."""
    context = RequestContext(
        origin=origin,
        actor_type=actor_type,
        actor_id=actor_id,
        actor_name=actor_name and actor_name[:_MAX_NAME],
    )
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


@contextmanager
def as_operator() -> Iterator[RequestContext]:
    """A context for commands: whoever sits at the terminal, by the name that the operating system has for them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has a number only
        name = f"uid:{os.getuid()}"
    with acting_as("cli", origin="cli", actor_name=name) as context:
        yield context
