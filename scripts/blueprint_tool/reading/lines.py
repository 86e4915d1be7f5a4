"""JSON whose every value knows its line and its path. The standard library's reader tells neither."""

import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_MAX_DEPTH = 40
_MAX_DIGITS = 40
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"true|false|null")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$-]{1,60}")
_SURROGATE = re.compile("[\ud800-\udfff]")
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file. `value`: dict or list of nodes, or str, int, float, bool, None. `line` counts from 1."""

    value: Any
    line: int
    path: Path = ()

    @property
    def where(self) -> str:
        """The path inside of the entity, `attributes[2].default`; `[1]` for the second entity itself."""
        return path_text(self.path)

    @property
    def plain(self) -> Any:
        """The value without lines, as `json.loads` gives it."""
        if isinstance(self.value, dict):
            return {key: node.plain for key, node in self.value.items()}
        return [node.plain for node in self.value] if isinstance(self.value, list) else self.value


class JsonFault(Exception):
    """A text that is no JSON, or has two meanings."""

    def __init__(self, line: int, where: str, text: str) -> None:
        """`line` counts from 1; `where`: column or path."""
        self.line, self.where, self.text = line, where, text
        super().__init__(text)


def parse(text: str) -> Node:
    """The tree of a JSON text. Raises JsonFault at the first thing that is wrong.

    Refused beyond the standard: a key that stands twice, halves of surrogate pairs, more than 40 levels, and
    numbers that a float would not keep as they are written.
    """
    reader = _Reader(text)
    root = reader.value(0, ())
    if reader.position < len(text):
        raise reader.fault("something stands behind the end of the document")
    return root


def path_text(path: Path) -> str:
    """A path in words; the entity's own place is left out where there is more to say."""
    parts = path[1:] if len(path) > 1 else path
    return "".join(map(_step, parts)).removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part if _PLAIN_KEY.fullmatch(part) else json.dumps(part[:60])}"


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.position = 0
        self._skip()

    def fault(self, text: str) -> JsonFault:
        """A fault of the syntax, where the reader stands."""
        line = self._line()
        start = self.ends[line - 2] + 1 if line > 1 else 0
        return JsonFault(line, f"column {self.position - start + 1}", text)

    def value(self, depth: int, path: Path) -> Node:
        """The value that begins here; behind it the reader stands at the next sign."""
        line = self._line()
        if depth > _MAX_DEPTH:
            raise self.fault(f"nested more than {_MAX_DEPTH} levels deep")
        if self._take("{"):
            return Node(self._object(depth, path), line, path)
        if self._take("["):
            return Node(self._array(depth, path), line, path)
        if self.text.startswith('"', self.position):
            return Node(self._string(), line, path)
        if word := self._match(_WORD):
            return Node(json.loads(word), line, path)
        return Node(self._number(), line, path)

    def _object(self, depth: int, path: Path) -> dict[str, Node]:
        found: dict[str, Node] = {}
        if self._take("}"):
            return found
        while True:
            if not self.text.startswith('"', self.position):
                raise self.fault("the name of a field in double quotes is expected here")
            line, key = self._line(), self._string()
            if key in found:
                raise JsonFault(line, path_text((*path, key)), "this field stands twice")
            if not self._take(":"):
                raise self.fault("a colon is expected here")
            found[key] = self.value(depth + 1, (*path, key))
            if self._take("}"):
                return found
            if not self._take(","):
                raise self.fault("a comma or } is expected here")

    def _array(self, depth: int, path: Path) -> list[Node]:
        found: list[Node] = []
        if self._take("]"):
            return found
        while True:
            found.append(self.value(depth + 1, (*path, len(found))))
            if self._take("]"):
                return found
            if not self._take(","):
                raise self.fault("a comma or ] is expected here")

    def _string(self) -> str:
        start = self.position
        written = self._match(_STRING)
        if written is None:
            raise self.fault("this text has no end, or holds a line break or a wrong backslash")
        text: str = json.loads(written)
        if _SURROGATE.search(text):
            self.position = start
            raise self.fault("this text holds half of a surrogate pair")
        return text

    def _number(self) -> int | float:
        start = self.position
        written = self._match(_NUMBER)
        if not written:
            raise self.fault("a value is expected here")
        if re.fullmatch(r"-?[0-9]+", written) and len(written) <= _MAX_DIGITS:
            return int(written)
        number = float(written) if len(written) <= _MAX_DIGITS else None
        if number is None or not _is_exact(written, number):
            self.position = start
            raise self.fault("this number has more digits than can be kept: write it as a text")
        return number

    def _line(self) -> int:
        return bisect_left(self.ends, self.position) + 1

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.position)
        if match is None:
            return None
        self.position = match.end()
        self._skip()
        return match[0]

    def _take(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.position):
            return False
        self.position += 1
        self._skip()
        return True

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.position)
        assert match is not None  # noqa: S101  the pattern matches nothing too
        self.position = match.end()


def _is_exact(written: str, number: float) -> bool:
    try:
        return Decimal(repr(number)) == Decimal(written)
    except ArithmeticError:  # an exponent beyond all bounds
        return False
