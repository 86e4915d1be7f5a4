"""Logs: the console, `server.log` (life cycle and faults) and `activity.log` (what people did), as JSON lines.

Each line is rendered once and written by one `write` to a file opened for appending, so that lines of several
workers never mix. A log that can't be written never fails a request; once it can again,
it says how many lines are missing.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from app.core.context import current

_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING, "ERROR": logging.ERROR}
_REOPEN_SECONDS = 1.0
_LOST = b'{"level":"warning","event":"log.lines_lost","lines":%d}\n'
_MODE = 0o640
_SECRET_WORDS = ("password", "token", "secret", "authorization", "api_key", "cookie")
_NOISY = ("uvicorn.access", "asyncio", "aiosqlite", "watchfiles", "alembic.runtime.plugins")

_HANDSHAKE = '%s - "WebSocket %s"'

Event = MutableMapping[str, Any]


class LineFile:
    """Appends whole lines. Follows a rotation from outside by looking once a second whether the file is another."""

    def __init__(self, path: Path) -> None:
        """Opens at the first line."""
        self._path = path
        self._descriptor: int | None = None
        self._checked = 0.0
        self._torn = False
        self._lost = 0

    def write(self, line: bytes) -> None:
        """Writes one line; never raises. Says how many were lost before, once there is room again."""
        try:
            descriptor = self._open()
            told = _LOST % self._lost if self._lost else b""
            # A line cut off by a full disk is closed before the next one.
            data = (b"\n" if self._torn else b"") + told + line + b"\n"
            self._torn = os.write(descriptor, data) != len(data)
            self._lost = self._lost + 1 if self._torn else 0
        except OSError:
            self._lost += 1
            self.close()

    def _open(self) -> int:
        moment = time.monotonic()
        if self._descriptor is not None and moment - self._checked > _REOPEN_SECONDS:
            self._checked = moment
            if not self._is_current(self._descriptor):
                self.close()
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
            self._checked = moment
        return self._descriptor

    def _is_current(self, descriptor: int) -> bool:
        try:
            ours, named = os.fstat(descriptor), self._path.stat()
        except FileNotFoundError:
            return False
        return (ours.st_ino, ours.st_dev) == (named.st_ino, named.st_dev)

    def close(self) -> None:
        """Lets go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Channel:
    """Where the finished lines of one logger go."""

    def __init__(self, name: str) -> None:
        """`name`: `server` or `activity`."""
        self.name = name
        self.file: LineFile | None = None
        self.console: Callable[[Event], str] | None = None
        self.takes_requests = False
        self._waiting: list[Event] = []

    def emit(self, event: Event) -> None:
        """Writes the event to the console and to the channel's file."""
        self.flush()
        line = orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
        text = line.decode() if self.console is None else self.console(dict(event))
        with suppress(OSError, ValueError):  # a closed pipe must not fail a request
            sys.stderr.write(text + "\n")
        if self.file is not None:
            self.file.write(line)

    def emit_request(self, event: Event) -> None:
        """The one line that every request gets: past structlog's processors, which cost as much as a query."""
        if not self.takes_requests:
            return
        self._waiting.append(event)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Writes the requests that ended in this turn of the event loop, with one system call for all of them."""
        if not self._waiting:
            return
        events, self._waiting = self._waiting, []
        lines = b"\n".join(orjson.dumps(event, default=str) for event in events)
        shown = lines.decode() if self.console is None else "\n".join(map(_short, events))
        with suppress(OSError, ValueError):
            sys.stderr.write(shown + "\n")
        if self.file is not None:
            self.file.write(lines)

    debug = info = warning = error = critical = msg = emit


CHANNELS = {name: Channel(name) for name in ("server", "activity")}


def _short(event: Event) -> str:
    """A request for the eyes of a developer."""
    text = f"{event['timestamp'][11:19]} {event['status']} {event['method']} {event['path']}"
    return f"{text} {event['duration_ms']} ms {event['request_id']}"


def _identify(_logger: object, _method: str, event: Event) -> Event:
    context = current()
    if context.request_id is not None:
        event.setdefault("request_id", context.request_id)
    if context.actor_id is not None:
        event.setdefault("actor_id", str(context.actor_id))
    if context.client_ip is not None:
        event.setdefault("client_ip", context.client_ip)
    return event


def _mask(_logger: object, _method: str, event: Event) -> Event:
    """A second line of defence: nothing named like a secret is written, whoever logs it."""
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "[redacted]"
    return event


def _for_channel(_logger: object, _method: str, event: Event) -> tuple[tuple[Event], dict[str, Any]]:
    return (event,), {}


def logger(name: str) -> FilteringBoundLogger:
    """The logger of a channel: `server` or `activity`."""
    return cast("FilteringBoundLogger", structlog.get_logger(name))


class _Foreign(logging.Handler):
    """Lines of libraries (uvicorn, SQLAlchemy, asyncio) go the way of our own."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "uvicorn.error" and str(record.msg).startswith(_HANDSHAKE):
            return  # the path with its query, which may hold secrets; the access log has the row
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        log = logger("server")
        {logging.WARNING: log.warning, logging.ERROR: log.error, logging.CRITICAL: log.critical}.get(
            record.levelno, log.info
        )(record.getMessage(), **fields)


def configure(*, level: str, json_console: bool, folder: Path | None) -> None:
    """Sets up both channels; `folder` None writes no files. May be called again."""
    console = None if json_console else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    for name, channel in CHANNELS.items():
        if channel.file is not None:
            channel.file.close()
        channel.file = LineFile(folder / f"{name}.log") if folder is not None else None
        channel.console = None if console is None else _console(console)
        channel.takes_requests = _LEVELS[level] <= logging.INFO
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            _identify,
            _mask,
            structlog.processors.format_exc_info,
            _for_channel,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda name="server", *_: CHANNELS[name],
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Foreign()], level=_LEVELS[level], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _console(render: structlog.dev.ConsoleRenderer) -> Callable[[Event], str]:
    return lambda event: str(render(None, "", event))
