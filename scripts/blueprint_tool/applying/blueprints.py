"""The blueprint as it is, and as it was the last time, worked out again from what is remembered."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from blueprint_tool.applying.memory import Memory
from blueprint_tool.existing import existing_modules
from blueprint_tool.model import Blueprint, Entity
from blueprint_tool.reading.document import read, read_text
from blueprint_tool.reading.faults import BlueprintFault
from blueprint_tool.rendering.formatting import formatted
from blueprint_tool.rendering.module import render


class Blueprints:
    """Of one run. Entities that the file does not name are as they are remembered, for those that refer to them."""

    def __init__(self, root: Path, memories: Mapping[str, Memory], config: Path | None) -> None:
        """Reads the file; without one there are no entities. Raises BlueprintFault."""
        self.root = root
        self.memories = memories
        self.existing = existing_modules(root)
        self.entities: Sequence[Entity] = read(config, self.existing).entities if config else ()

    def rendered(self) -> dict[str, dict[str, str]]:
        """By module and path: the texts that the blueprint wants, formatted."""
        named = {entity.module for entity in self.entities}
        others = [entity for module, entity in self.former.items() if module not in named]
        return self._rendered(self.entities, Blueprint((*self.entities, *others)))

    @cached_property
    def former(self) -> Mapping[str, Entity]:
        """The remembered entities by module; none where today's rules would not accept them any more."""
        sources = [memory.entity for memory in self.memories.values()]
        if not sources:
            return {}
        try:
            return {
                entity.module: entity
                for entity in read_text(json.dumps(sources), "former", self.existing).entities
            }
        except BlueprintFault:
            return {}

    @cached_property
    def former_texts(self) -> Mapping[str, str]:
        """By path: the texts of the last run, as this generator would write them. Worked out only when asked for."""
        entities = tuple(self.former.values())
        rendered = self._rendered(entities, Blueprint(entities))
        return {path: text for files in rendered.values() for path, text in files.items()}

    def _rendered(self, entities: Sequence[Entity], blueprint: Blueprint) -> dict[str, dict[str, str]]:
        rendered = {entity.module: render(entity, blueprint) for entity in entities}
        every = {path: text for files in rendered.values() for path, text in files.items()}
        texts = formatted(every, self.root) if every else {}
        return {module: {path: texts[path] for path in files} for module, files in rendered.items()}
