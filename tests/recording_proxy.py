"""A wire-tap on a Redis: what programs ask of it, and what its scripts do inside."""

import asyncio
import codecs
import re
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

Command = tuple[bytes, ...]
# Commands that say what they are only with their second word.
_CONTAINERS = {"ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT",
               "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO"}  # fmt: skip
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_MARK = b"the end of what is listened to"


def name_of(command: Command) -> str:
    """`GET`, `CLIENT SETINFO`."""
    words = [word.decode("ascii", "replace").upper() for word in command[:2]]
    return " ".join(words) if words[0] in _CONTAINERS else words[0]


class RecordingProxy:
    """Stands before a Redis at an address of its own, passes everything on, and notes each command."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self.commands: list[Command] = []

    @property
    def url(self) -> str:
        """What to set as CACHE_URL."""
        port = self._server.sockets[0].getsockname()[1]
        return self._parts._replace(netloc=f"127.0.0.1:{port}").geturl()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        for passing in (self._ask(reader, questions), _pass_on(answers, writer)):
            task = asyncio.create_task(passing)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests are arrays of byte strings; nothing else is spoken to a server by programs."""
        try:
            while head := await reader.readline():
                raw, words = head, []
                assert head.startswith(b"*"), head
                for _ in range(int(head[1:])):
                    size = await reader.readline()
                    word = await reader.readexactly(int(size[1:]) + 2)
                    words.append(word[:-2])
                    raw += size + word
                self.commands.append(tuple(words))
                writer.write(raw)
                await writer.drain()
        finally:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class Monitor:
    """Listens to everything that a Redis executes, inside of scripts too (`MONITOR`)."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._lines: list[bytes] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._writer.write(b"MONITOR\r\n")
        assert await self._reader.readline() == b"+OK\r\n"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self._writer.close()

    async def heard(self) -> list[tuple[bool, Command]]:
        """What was executed until now, in order, each with whether a script did it."""
        _, writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        writer.write(b'ECHO "%s"\r\n' % _MARK)
        while not (self._lines and _MARK in self._lines[-1]):
            self._lines.append(await self._reader.readline())
        writer.close()
        return [(b" lua] " in line.partition(b'"')[0], _words(line)) for line in self._lines[:-1]]


def _words(line: bytes) -> Command:
    return tuple(codecs.escape_decode(word)[0] for word in _QUOTED.findall(line))


def undeclared(heard: Sequence[tuple[bool, Command]], keys_of: dict[Command, list[bytes]]) -> list[str]:
    """The keys that scripts touch without having declared them; Dragonfly refuses those, Redis doesn't.

    `keys_of`: for each command that a script executed, the keys in it.
    """
    found, declared = [], set[bytes]()
    for in_script, command in heard:
        if in_script:
            touched = set(keys_of[command]) - declared
            found += [f"{name_of(command)} in a script touches {key!r}, undeclared" for key in touched]
        elif name_of(command) in {"EVAL", "EVALSHA"}:
            declared = set(command[3 : 3 + int(command[2])])
    return found
