"""Blueprints of chance, all of them right: every type with every option, relations of all kinds, names at the edge.

Parts are thrown together, and the reader is asked; what it refuses is left out. Names come from the words of the
code that modules are made of: whatever a name could hide, or be hidden by, is among them.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from app.core.config import ROOT
from blueprint_tool import names, reserved
from blueprint_tool.existing import Existing
from blueprint_tool.reading import schema
from blueprint_tool.reading.document import read_text
from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.variety import LEAST_LENGTHS
from tests.architecture.code_rules import VAGUE

Part = dict[str, Any]
Entities = list[Part]
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_PLACES = ("scripts/blueprint_tool/rendering", "app/core", "app/auth")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_TRIES = 300
TEXTS = (
    "",
    "a",
    'it\'s "quoted" \\ {x} ${y} %s',
    "größe £ 漢字",
    "# none",
    "\n\t",
    "'''",
    '"""',
    "zy" * 100,
    "🙂",
)
CHOICES = ("a", "b", "A", "in port", "x.y/z-1+", "0", "None", "true", "q" * 63, "null", "Ab c")
DOCUMENTS: tuple[Any, ...] = (
    {},
    [],
    0,
    "x",
    True,
    {"a": [1, {"b": None}], "ü": "'\"\\"},
    [None, -1.5, 2**53],
)
EMAILS = ("ada@example.com", "Ada.Lovelace@EXAMPLE.com", "o'neil@example.com")
URLS = ("https://example.com", "http://x.example/a?b='c'&d=\"e\"#f")
DAYS = ("0001-01-01", "1900-07-08", "1970-01-01", "2024-02-29", "2026-11-21", "9999-12-31")
CLOCKS = ("00:00:00", "23:59:59.999999", "12:30:05.000001", "06:00:00.5")
WHOLE = {"int": (0, 1, -1, 5, 2**31 - 1, -(2**31)), "bigint": (0, -7, 2**53 + 1, 2**63 - 1, -(2**63))}
FLOATS = (0, 0.5, -0.1, 1e-300, 1e300, -5, 99.9)
ODD_DESCRIPTION = 'It\'s "quoted" & {odd} ${x} % é.'


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word of the code, but for those that no folder of a module may be called."""
    files = [
        path for place in _PLACES for path in Path(ROOT / place).rglob("*") if path.suffix in {".py", ".mako"}
    ]
    words = {word for path in files for word in _WORD.findall(path.read_text(encoding="utf-8"))}
    every = (
        words | reserved.SQL | reserved.VARIABLES | {"l", "hidden", "key", "token", "access_token", "nothing"}
    )
    return tuple(sorted(word for word in every if not VAGUE & set(names.singular(word).split("_"))))


class Chance:
    """One seed, beside the modules that are there."""

    def __init__(self, seed: int, existing: tuple[Existing, ...]) -> None:
        self.random = Random(seed)
        self.existing = existing

    def is_true(self, share: float) -> bool:
        return self.random.random() < share

    def blueprint(self, count: int) -> Entities:
        """So many entities; each may refer to those before it."""
        found: Entities = []
        for _ in range(count):
            found.append(self._entity(found))
        return found

    def takes(self, entities: Entities) -> bool:
        """Whether the reader does."""
        try:
            read_text(json.dumps(entities), "chance", self.existing)
        except BlueprintFault:
            return False
        return True

    # names

    def word(self) -> str:
        return names.singular(self.random.choice(vocabulary())).strip("_").replace("__", "_")

    def snake(self, longest: int = names.MAX_FIELD) -> str:
        """A word, two of them, or as many letters and digits as there may be."""
        match self.random.randrange(12):
            case 0:
                return "".join(self.random.choices(_LETTERS, k=longest))
            case 1:
                return f"{self.word()}_{self.word()}"[:longest].strip("_")
            case _:
                return self.word()

    def pascal(self) -> str:
        return "".join(part[:1].upper() + part[1:] for part in self.snake().split("_"))

    # values

    def value(self, made: Mapping[str, Any]) -> Any:
        """One for `default`, `min` or `max`; it need not be right."""
        kind, pick = made["type"], self.random.choice
        if kind in WHOLE:
            return pick((*WHOLE[kind], self.random.randrange(-1000, 1000)))
        if kind == "datetime":
            return f"{pick(DAYS)}T{pick(CLOCKS)}{pick(('Z', '+02:00', '-11:30'))}"
        if kind == "decimal":
            return self._decimal(made.get("precision", 18), made.get("scale", 2))
        if kind in {"string", "text"}:
            return str(pick(TEXTS))[: made.get("max_length", 255)]
        kinds: Mapping[str, Callable[[], Any]] = {
            "float": lambda: pick(FLOATS),
            "date": lambda: pick(DAYS),
            "enum": lambda: pick(made["choices"]),
            "bool": lambda: self.is_true(0.5),
            "json": lambda: pick(DOCUMENTS),
            "email": lambda: pick(EMAILS),
            "url": lambda: pick(URLS),
            "uuid": lambda: (
                f"{self.random.getrandbits(32):08x}-0000-4000-8000-{self.random.getrandbits(48):012X}"
            ),
        }
        return kinds[kind]()

    def _decimal(self, precision: int, scale: int) -> str:
        most = 10**precision - 1
        steps = self.random.choice((most, -most, 0, 1, self.random.randrange(10**precision)))
        digits = f"{abs(steps):0{scale + 1}d}"
        whole, fraction = digits[: len(digits) - scale], digits[len(digits) - scale :]
        return f"{'-' if steps < 0 else ''}{whole}{'.' if scale else ''}{fraction}"

    # parts

    def attribute(self) -> Part:
        made: Part = {"name": self.snake(), "type": self.random.choice(schema.TYPES)}
        self._size(made)
        if self.is_true(0.5):
            made["nullable"] = self.is_true(0.7)
        if self.is_true(0.1):
            made["secret"] = True
        for option in ("unique", "index", "searchable", "sortable", "filterable"):
            share = 0.15 if option == "unique" else 0.35
            if made["type"] in schema.FITTING[option] and self.is_true(share):
                made[option] = True
        if made["type"] in schema.BOUNDED and self.is_true(0.5):
            self._bounds(made)
        if self.is_true(0.4):
            made["default"] = self.value(made)
        return made

    def _size(self, made: Part) -> None:
        kind = made["type"]
        if kind == "decimal" and self.is_true(0.7):
            made["precision"] = self.random.choice((1, 2, 5, 10, 17, 18))
            made["scale"] = self.random.randrange(made["precision"] + 1)
        if kind in schema.TEXTS and self.is_true(0.6):
            least = LEAST_LENGTHS.get(kind, 1)
            made["max_length"] = max(least, self.random.choice((1, 2, 5, 10, 63, 200, 325, 650, 4000)))
        if kind == "enum":
            made["choices"] = self.random.sample(CHOICES, self.random.choice((1, 2, 2, 3, 4, 8)))

    def _bounds(self, made: Part) -> None:
        low = self.value(made)
        near = low + self.random.randrange(5) if made["type"] in WHOLE else low
        for option, end in (("min", low), ("max", self.random.choice((self.value(made), near)))):
            if self.is_true(0.7):
                made[option] = end

    def relation(self, own: str, targets: list[str]) -> Part:
        target = self.random.choice(["User", own, *targets])
        made: Part = {
            "name": self.snake(),
            "type": self.random.choice(schema.RELATION_TYPES),
            "target": target,
        }
        if made["type"] == "many_to_one":
            made["nullable"] = target == own or self.is_true(0.6)
            ways = ("restrict", "cascade", "set_null") if made["nullable"] else ("restrict", "cascade")
            made["on_delete"] = self.random.choice(ways)
        return made

    def _entity(self, before: Entities) -> Part:
        made = self._named(before)
        for option in ("owned", "soft_delete"):
            if self.is_true(0.4):
                made[option] = self.is_true(0.5)
        wanted = self.random.choice((1, 2, 4, 6))
        for _ in range(_TRIES):
            if len(made["attributes"]) < wanted:
                self.grow(before, made, "attributes", self.attribute())
        targets = [one["name"] for one in before]
        for _ in range(self.random.choice((0, 1, 2, 3))):
            self.grow(before, made, "relations", self.relation(made["name"], targets))
        for _ in range(self.random.choice((0, 0, 1, 2))):
            self.grow(before, made, "unique_together", self.group(made))
        for _ in range(self.random.choice((0, 0, 1))):
            action = {"action": self.snake(), "description": ODD_DESCRIPTION}
            self.grow(before, made, "privileges", self.random.choice((action, action["action"])))
        return made

    def _named(self, before: Entities) -> Part:
        probe = {"attributes": [{"name": "x1", "type": "int"}]}
        for _ in range(_TRIES):
            made: Part = {"name": self.pascal(), "table": self.snake(names.MAX_TABLE), "attributes": []}
            if self.takes([*before, {**made, **probe}]):
                return made
        raise AssertionError("no name was taken")

    def group(self, made: Part) -> list[str]:
        """Two or three fields of the entity."""
        fields = [one["name"] for one in made["attributes"]]
        fields += [one["name"] for one in made.get("relations", []) if one["type"] == "many_to_one"]
        fields += ["owner_id"] if made.get("owned") else []
        return self.random.sample(fields, min(len(fields), self.random.choice((2, 3))))

    def grow(self, before: Entities, made: Part, key: str, part: Any) -> None:
        """Puts the part in, if the reader takes the entity with it."""
        known = made.get(key, [])
        made[key] = [*known, part]
        if not self.takes([*before, made]):
            made[key] = known
            if not known and key != "attributes":
                del made[key]
