"""The sentences of a module's page: what its fields are, and what happens to what they refer to."""

import json

from blueprint_tool.model import Attribute
from blueprint_tool.rendering import kinds
from blueprint_tool.rendering.parts import Reference
from blueprint_tool.rendering.samples import shown_default
from blueprint_tool.rendering.view import View
from blueprint_tool.rendering.words import series

_TYPES = {
    "int": "whole number, 32 bits",
    "bigint": "whole number, 64 bits",
    "float": "number",
    "bool": "true or false",
    "date": "date",
    "datetime": "instant, RFC 3339",
    "uuid": "UUID",
    "json": "JSON",
    "email": "e-mail address",
    "url": "address, http or https",
}


class Page:
    """Of one module."""

    def __init__(self, view: View) -> None:
        """Looks at the view only."""
        self.view = view

    def type_words(self, attribute: Attribute) -> str:
        """What the field holds."""
        if attribute.type == "enum":
            return f"one of {', '.join(f'`{choice}`' for choice in attribute.choices)}"
        if attribute.type == "decimal":
            return f"decimal in a text, {attribute.precision} digits, {attribute.scale} behind the point"
        length = kinds.max_length(attribute)
        return _TYPES.get(attribute.type) or f"text, at most {length} characters"

    def rule_words(self, attribute: Attribute) -> str:
        """What else is true of it."""
        ends = {"at least": attribute.min, "at most": attribute.max}
        found = ["may be empty" if attribute.nullable else "" if attribute.has_default else "required"]
        if attribute.has_default:
            found.append(f"`{_said(shown_default(attribute))}` unless sent")
        found += [f"{word} {_said(end)}" for word, end in ends.items() if end is not None]
        found += ["unique"] if attribute.unique else []
        found += (
            ["written only, no answer has it; `[redacted]` in the change log"] if attribute.secret else []
        )
        return "; ".join(part for part in found if part)

    @property
    def summary_fields(self) -> list[str]:
        own = [*(one.name for one in self.view.summary), *(one.field for one in self.view.references)]
        return ["id", *own, *(["owner_id"] if self.view.owned else []), "created_at"]

    @property
    def list_words(self) -> str:
        """What a list can be asked for."""
        filters = [one.name for one in self.view.filterable] + [one.field for one in self.view.references]
        filters += ["owner_id"] if self.view.owned else []
        asked = f"filters: {_listed(filters)}; " if filters else ""
        return (
            f"a page; {asked}`sort`: {_listed(self.view.sortable)}{'; `deleted`' if self.view.soft else ''}"
        )

    def delete_words(self, reference: Reference) -> str:
        """What happens when its target is removed for good."""
        what = {
            "restrict": f"{reference.a_target} that is referred to can't be removed for good (409)",
            "cascade": f"removed for good with the {reference.target_one}",
            "set_null": f"emptied when the {reference.target_one} is removed for good",
        }
        return what[reference.relation.on_delete]

    @property
    def notes(self) -> list[str]:
        """What is not seen in the tables above."""
        view, found = self.view, []
        found += [f"{_names(group)} are unique together." for group in view.entity.unique_together]
        if any(one.is_target_soft for one in view.references):
            found.append(
                "A reference needs a live target; one that is deleted later stays until it is removed."
            )
        owned = sorted({one.target_many for one in (*view.references, *view.links) if one.is_target_owned})
        if owned:
            found.append(
                f"Who refers to {series(owned)} must be able to see them: else they are unknown (422)."
            )
        return found


def _said(value: object) -> object:
    return json.dumps(value) if value is None or isinstance(value, bool | dict | list) else value


def _names(group: tuple[str, ...]) -> str:
    return series([f"`{name}`" for name in group])


def _listed(fields: list[str]) -> str:
    return ", ".join(f"`{field}`" for field in fields)
