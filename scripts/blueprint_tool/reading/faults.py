"""What is wrong with a blueprint, each fault with the line that it stands in and the field that it is about."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from blueprint_tool.reading.lines import Node

_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault. `line` counts from 1, 0 means the file itself; `where`: the path inside of the entity."""

    line: int
    where: str
    text: str


class BlueprintFault(Exception):
    """A blueprint that can't be used; `lines` has a line of text for each thing that is wrong, in the file's order."""

    def __init__(self, file: str, faults: Iterable[Fault]) -> None:
        """`file`: what the blueprint is called in the lines."""
        self.lines = [
            ": ".join(part for part in (_place(file, fault.line), fault.where, fault.text) if part)
            for fault in sorted(set(faults))
        ]
        super().__init__("\n".join(self.lines))


class Faults:
    """Collects faults, so that one look at a file tells all of them."""

    def __init__(self) -> None:
        """Starts without any."""
        self.found: list[Fault] = []

    def add(self, node: Node, text: str) -> None:
        """A fault of this part of the file."""
        self.found.append(Fault(node.line, node.where, text))


def _place(file: str, line: int) -> str:
    return f"{file}:{line}" if line else file


def shown(value: Any) -> str:
    """A value as JSON, in ASCII and not too long."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is near."""
    return next(iter(get_close_matches(word[:100], sorted(known), n=1)), None)


def question(word: str, known: Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing where no known word is near."""
    found = nearest(word, known)
    return f" (did you mean {found}?)" if found else ""
