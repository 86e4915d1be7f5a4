"""What the tests of a module send and expect, as source: rows, wrong bodies, what the change log says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.core.audit.values import REDACTED, is_secret_name
from blueprint_tool import names
from blueprint_tool.model import Attribute, Entity
from blueprint_tool.rendering import kinds
from blueprint_tool.rendering.parts import Reference
from blueprint_tool.rendering.samples import WORDS, ascend, differ, fresh, samples, shown_default, wrong
from blueprint_tool.rendering.view import View
from blueprint_tool.rendering.words import mapping, quoted

_EXACT = 2**53  # larger whole numbers stand in the log as texts


@dataclass(frozen=True, slots=True)
class Maker:
    """A function of the tests that makes a row of another module, to refer to."""

    name: str
    path: str
    fields: Mapping[str, str]


class Story:
    """Of one module's tests."""

    def __init__(self, view: View) -> None:
        """Looks at the view only."""
        self.view = view

    # rows

    def row(self, turn: int) -> str:
        """A whole body without relations."""
        return mapping({one.name: kinds.literal(samples(one)[turn]) for one in self.view.attributes})

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
            "unknown": "1",
        }
        return found + [(f'{{"{name}": {value}}}', name) for name, value in strange.items()]

    # what can be done with fields

    @cached_property
    def changing(self) -> str | None:
        """A field that an update can change and an answer shows."""
        found = [one.name for one in self.view.shown if differ(one)]
        return found[0] if found else None

    @cached_property
    def nullable(self) -> list[str]:
        return [one.name for one in self.view.shown if one.nullable]

    @cached_property
    def sorted(self) -> list[str]:
        return [one.name for one in self.view.attributes if one.sortable and ascend(one)]

    @cached_property
    def filtered(self) -> list[str]:
        return [one.name for one in self.view.filterable if differ(one)]

    @cached_property
    def unique(self) -> list[str]:
        return [one.name for one in self.view.attributes if one.unique]

    @cached_property
    def together(self) -> list[list[str]]:
        """Groups of fields that can be sent."""
        groups = [
            [name for name in group if name != "owner_id"] for group in self.view.entity.unique_together
        ]
        return [group for group in groups if group]

    def group_arguments(self, group: Iterable[str]) -> str:
        """The same as arguments of a call."""
        return "".join(f", {name}={value}" for name, value in self.group_targets(group).items())

    def group_targets(self, group: Iterable[str]) -> dict[str, str]:
        """The references among these fields, with what makes their targets."""
        return {
            one.field: self.target(one, "THIRD") for one in self.view.references if one.field in set(group)
        }

    def group_needs_api(self, group: Iterable[str]) -> bool:
        """Whether a target is made by somebody else."""
        return any("(api)" in made or "api." in made for made in self.group_targets(group).values())

    @cached_property
    def question(self) -> str | None:
        """What finds the first row alone."""
        texts = [one for one in self.view.attributes if one.searchable and one.type != "enum"]
        shortest = min((kinds.max_length(one) or 0 for one in texts), default=0)
        return WORDS[0][:4][: max(1, shortest)] if texts else None

    @property
    def secrets(self) -> list[str]:
        return [one.name for one in self.view.attributes if one.secret]

    @property
    def logged(self) -> str:
        """How the change log writes the first row."""
        return mapping({one.name: kinds.literal(_logged(one)) for one in self.view.attributes})

    def log_value(self, name: str, turn: int) -> str:
        """How it writes one field of a row."""
        (attribute,) = (one for one in self.view.attributes if one.name == name)
        return kinds.literal(_logged(attribute, turn))

    # relations

    @cached_property
    def makers(self) -> list[Maker]:
        """One for each entity that rows refer to, directly or not; those that are needed first stand first."""
        found: dict[str, Maker] = {}
        for one in (*self.view.references, *self.view.links):
            if one.entity is not None and not one.is_own:
                self._make(one.entity, found)
        return list(found.values())

    def _make(self, entity: Entity, found: dict[str, Maker]) -> None:
        alone = {name for group in entity.unique_together for name in group}
        fields = {
            one.name: fresh(one)
            for one in entity.attributes
            if _is_required(one) or one.unique or one.name in alone
        }
        for relation in entity.relations:
            if relation.type == "many_to_one" and not relation.nullable:
                target = self.view.by_name.get(relation.target)
                if target is not None:
                    self._make(target, found)
                fields[relation.field] = _made(target)
        found[entity.name] = Maker(
            f"make_{names.singular(entity.name)}", entity.path.removeprefix("/"), fields
        )

    def target(self, reference: Reference, row: str = "FIRST") -> str:
        """Source of the id of something new to refer to; `row`: which one, where it is of this module."""
        return f'(await make(keeper, **{row}))["id"]' if reference.is_own else _made(reference.entity)

    def target_path(self, reference: Reference) -> str:
        return "users" if reference.entity is None else reference.entity.path.removeprefix("/")

    @property
    def needed(self) -> dict[str, str]:
        """References that can't be left out, with what makes their targets."""
        return {one.field: self.target(one) for one in self.view.references if not one.is_nullable}

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


def _made(entity: Entity | None) -> str:
    return "(await api.user()).id" if entity is None else f"await make_{names.singular(entity.name)}(api)"


def _is_required(attribute: Attribute) -> bool:
    return not attribute.nullable and not attribute.has_default


def _logged(attribute: Attribute, turn: int = 0) -> Any:
    value = samples(attribute)[turn]
    if attribute.secret or is_secret_name(attribute.name):
        return REDACTED
    is_large = attribute.type == "bigint" and abs(value) > _EXACT
    return str(value) if is_large else value


def _set(words: Iterable[str]) -> str:
    return f"{{{quoted(words)}}}"
