"""What the tests of a module send and expect, as source: rows, wrong bodies, what the change log says."""

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

from app.core.search import pieces, search_text_of
from blueprint_tool.model import Attribute
from blueprint_tool.rendering import kinds
from blueprint_tool.rendering.parts import Reference
from blueprint_tool.rendering.samples import ORDERED, logged, shown_default, written, wrong
from blueprint_tool.rendering.targets import Maker, Targets
from blueprint_tool.rendering.view import View
from blueprint_tool.rendering.words import mapping, quoted
from blueprint_tool.variety import ROWS, rows

_MAX_NAME = 60  # characters of a test's name that come from fields
# What the client of the tests takes for secrets, and looks for in answers, if it is as long as secrets are.
_SECRETIVE = {"password", "current_password", "new_password", "token", "access_token", "refresh_token", "key"}
_SECRET_LENGTH = 8


class Story:
    """Of one module's tests."""

    def __init__(self, view: View) -> None:
        """Looks at the view only."""
        self.view = view
        self.targets = Targets(view)
        three = rows(view.entity)
        assert three is not None  # noqa: S101  the reader refuses what has no room for three
        self.rows = three

    # rows

    def row(self, turn: int) -> str:
        """A whole body without relations."""
        row = self.rows[turn]
        return mapping({one.name: kinds.literal(written(one, row[one.name])) for one in self.view.attributes})

    @cached_property
    def open_words(self) -> str:
        """What is called like a secret and is none, as parts of a tuple: texts of this module and of its targets."""
        entities = [self.view.entity, *(self.view.by_name[name] for name in self.targets.makers)]
        fields = [(entity, one) for entity in entities for one in entity.attributes if one.name in _SECRETIVE]
        texts = [written(one, row[one.name]) for entity, one in fields for row in rows(entity) or ()]
        long = [text for text in texts if isinstance(text, str) and len(text) >= _SECRET_LENGTH]
        return "".join(f"{kinds.literal(text)}, " for text in dict.fromkeys(long))

    @cached_property
    def owners_differ(self) -> bool:
        """Whether nobody may have three rows: what is unique for each owner has too few values."""
        keys = {one.field for one in self.view.references}
        entity = self.view.entity
        groups = [g for g in entity.unique_together if entity.unsent.intersection(g) and keys.isdisjoint(g)]
        return any(
            self._are_alike(group, 0, turn) or self._are_alike(group, 1, 2)
            for group in groups
            for turn in (1, 2)
        )

    def _are_alike(self, group: Iterable[str], one: int, other: int) -> bool:
        """Whether two rows of one owner have the same there. What is empty is like nothing."""
        fields = self.view.entity.sent(group)
        pairs = [(self.rows[one][name], self.rows[other][name]) for name in fields]
        return all(left is not None and left == right for left, right in pairs)

    @cached_property
    def required(self) -> list[Attribute]:
        return [one for one in self.view.attributes if _is_required(one)]

    @property
    def least(self) -> str:
        """A body of what can't be left out."""
        names_of = f"({quoted(one.name for one in self.required)})"
        return f"{{name: FIRST[name] for name in {names_of}}}" if self.required else "{}"

    @cached_property
    def defaults(self) -> str:
        """What the other fields are then."""
        found = {one.name: shown_default(one) for one in self.view.shown if not _is_required(one)}
        found |= {one.field: None for one in self.view.references if one.is_nullable}
        found |= {one.field: [] for one in self.view.links}
        return mapping({name: kinds.literal(value) for name, value in found.items()}) if found else ""

    @property
    def summary(self) -> str:
        own = [one.name for one in self.view.summary] + [one.field for one in self.view.references]
        return _set(["id", *own, *(["owner_id"] if self.view.owned else []), "created_at"])

    @property
    def detail_more(self) -> str:
        """What the detail has besides."""
        own = [one.name for one in self.view.detail] + [one.field for one in self.view.links]
        return _set([*own, "owner" if self.view.owned else "created_by", "updated_at", "version"])

    # wrong bodies

    @cached_property
    def wrong(self) -> list[tuple[str, str]]:
        """Changes that make a body wrong, as source, and the field that is at fault."""
        found = [
            (f'{{"{one.field}": {one.value}}}', one.field) for a in self.view.attributes for one in wrong(a)
        ]
        found += [
            (f'{{"{one.field}": None}}', one.field) for one in self.view.references if not one.is_nullable
        ]
        found += [(f'{{"{one.field}": "no id"}}', one.field) for one in self.view.references]
        found += [(f'{{"{one.field}": None}}', one.field) for one in self.view.links]
        strange = {
            "id": "str(uuid4())",
            "created_at": '"2026-01-01T00:00:00Z"',
            "version": "7",
            self.unknown: "1",
        }
        return found + [(f'{{"{name}": {value}}}', name) for name, value in strange.items()]

    @cached_property
    def unknown(self) -> str:
        """What no field is called."""
        known = {one.name for one in self.view.attributes} | {one.field for one in self.view.references}
        return next(
            name
            for name in ("unknown", "unheard_of", "strange", *map("strange_{}".format, range(99)))
            if name not in known
        )

    # what can be done with fields

    @cached_property
    def changing(self) -> str | None:
        """A field that an update can change and an answer shows."""
        return next((one.name for one in self.view.shown if self._differs(one)), None)

    @cached_property
    def nullable(self) -> list[str]:
        return [one.name for one in self.view.shown if one.nullable]

    @cached_property
    def sorted(self) -> list[str]:
        """Fields by which the three rows have one order only."""
        fields = [one for one in self.view.attributes if one.sortable and one.type in ORDERED]
        return [one.name for one in fields if len({*self._values(one)} - {None}) == ROWS]

    @cached_property
    def filtered(self) -> list[str]:
        found = [one for one in self.view.filterable if self._differs(one)]
        return [one.name for one in found if self.rows[1][one.name] is not None]

    def _values(self, attribute: Attribute) -> list[Any]:
        return [row[attribute.name] for row in self.rows]

    def _differs(self, attribute: Attribute) -> bool:
        first, second, _ = self._values(attribute)
        return bool(first != second)

    @cached_property
    def question(self) -> str | None:
        """What finds the first row alone."""
        first, *others = (search_text_of([row[name] for name in self.view.searchable]) for row in self.rows)
        words = [word for name in self.view.searchable for word in str(self.rows[0][name]).split()[:1]]
        asked = [word[:length] for word in words for length in (4, 1)]
        plain = [word for word in asked if word.isascii() and word.isalnum()]
        return next(
            (q for q in plain if _finds(q, first) and not any(_finds(q, one) for one in others)), None
        )

    # what is unique

    @cached_property
    def unique(self) -> list[str]:
        return [one.name for one in self.view.attributes if one.unique]

    @cached_property
    def together(self) -> list[tuple[str, ...]]:
        """Groups of fields that can be sent."""
        groups = map(self.view.entity.sent, self.view.entity.unique_together)
        return [group for group in groups if group]

    def names_fault(self, fields: Collection[str]) -> bool:
        """Whether a second row with the first one's values here has no other fault, which might be told instead."""
        keys = [(one.name,) for one in self.view.attributes if one.unique]
        entity = self.view.entity
        own = {one.name for one in self.view.attributes} | entity.unsent
        every = [{*entity.sent(key)} for key in (*keys, *entity.unique_together)]
        others = [key for key in every if key != {*entity.sent(fields)}]
        torn = [[name for name in key if name not in fields] for key in others if own.union(fields) >= key]
        return not any(self._are_alike(names, 0, 1) for names in torn)

    def group_name(self, group: Iterable[str], number: int) -> str:
        """What the test of a group is called."""
        name = "_and_".join(group)
        return name if len(name) <= _MAX_NAME else f"group_{number}"

    def group_arguments(self, group: Iterable[str]) -> str:
        """The references among these fields, as arguments of a call."""
        return "".join(f", {name}={value}" for name, value in self.group_targets(group).items())

    def group_targets(self, group: Iterable[str]) -> dict[str, str]:
        """The same with what makes their targets."""
        return {one.field: self.target(one, 2) for one in self.view.references if one.field in set(group)}

    def group_needs_api(self, group: Iterable[str]) -> bool:
        """Whether a target is made by somebody else."""
        return any("(api" in made or "api." in made for made in self.group_targets(group).values())

    # the log

    @property
    def secrets(self) -> str:
        """Names of fields as a set."""
        found = [one.name for one in self.view.attributes if one.secret]
        return _set(found) if found else ""

    @property
    def logged(self) -> str:
        """How the change log writes the first row."""
        return mapping({one.name: self._logged(one, 0) for one in self.view.attributes})

    def is_logged(self, name: str, turn: int) -> str:
        """How it writes one field of a row, as the end of a comparison."""
        (attribute,) = (one for one in self.view.attributes if one.name == name)
        value = self._logged(attribute, turn)
        return f"{'is' if value in {'True', 'False', 'None'} else '=='} {value}"

    def _logged(self, attribute: Attribute, turn: int) -> str:
        return kinds.literal(logged(attribute, self.rows[turn][attribute.name]))

    # relations

    @property
    def makers(self) -> list[Maker]:
        return list(self.targets.makers.values())

    def target(self, reference: Reference, turn: int = 0) -> str:
        """Source of the id of something to refer to; `turn`: which one of three."""
        return self.targets.made(reference, str(turn))

    def target_path(self, reference: Reference) -> str:
        return "users" if reference.entity is None else reference.entity.path.removeprefix("/")

    @property
    def needed(self) -> dict[str, str]:
        """References that can't be left out, with what makes their targets for the row `turn`."""
        return {
            one.field: self.targets.made(one, "turn") for one in self.view.references if not one.is_nullable
        }

    @property
    def read_besides(self) -> list[str]:
        """Privileges on what rows refer to."""
        found = {
            one.relation.target_module
            for one in (*self.view.references, *self.view.links)
            if one.is_target_owned
        }
        return [f"{module}:read" for module in sorted(found - {self.view.code})]

    @property
    def actions(self) -> list[str]:
        every = ("create", "delete", *(["purge"] if self.view.soft else []), "read", "update")
        return [*(f"{self.view.code}:{action}" for action in every), *self.read_besides]


def _is_required(attribute: Attribute) -> bool:
    return not attribute.nullable and not attribute.has_default


def _finds(question: str, text: str) -> bool:
    """Whether a search for it finds a row with this searched text."""
    return all(piece in text for piece in pieces(question))


def _set(words: Iterable[str]) -> str:
    return f"{{{quoted(words)}}}"
