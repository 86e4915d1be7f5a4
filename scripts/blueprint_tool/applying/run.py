"""Carries a blueprint out: reads, renders, compares, proves in a copy, and only then writes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blueprint_tool.applying.blueprints import Blueprints
from blueprint_tool.applying.changing import demands, refusals
from blueprint_tool.applying.filling import fillings
from blueprint_tool.applying.memory import Memory, memories, memory_path
from blueprint_tool.applying.planning import FileChange, ModulePlan, Verdict, plan, text_of
from blueprint_tool.applying.removing import named, removal
from blueprint_tool.applying.staging import Outcome, ask, staged
from blueprint_tool.applying.tidying import tidied
from blueprint_tool.applying.writing import write
from blueprint_tool.model import Entity
from blueprint_tool.refusals import Refused
from blueprint_tool.rendering.formatting import formatted

VERSIONS = "alembic/versions"
_UNTIDY = "it was not before, or lines written by hand would have changed; ruff check --fix and ruff format see to it"
_SLUG = 40  # characters of a message that Alembic takes over into the name of a file


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. `keep`: paths whose files stay as they are, and count as merged."""

    config: Path | None
    remove: Sequence[str] = ()
    keep: Sequence[str] = ()
    is_check: bool = False
    is_dry_run: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What was done, or would be. `written`: every file, the migration's, snapshots and memories among them."""

    plans: Sequence[ModulePlan]
    removed: Sequence[str] = ()
    written: Sequence[FileChange] = ()
    revision: str | None = None
    notices: Sequence[str] = field(default_factory=list)

    @property
    def due(self) -> list[ModulePlan]:
        """Modules that the blueprint wants to be other than they are, and that can be made so."""
        return [plan for plan in self.plans if plan.is_due and not plan.conflicts]

    @property
    def stuck(self) -> list[ModulePlan]:
        """Modules that were left as they are, because not everything could be merged."""
        return [plan for plan in self.plans if plan.conflicts]


def carry_out(root: Path, request: Request) -> Result:
    """Does what is asked. Raises BlueprintFault and Refused, and then nothing was written; OSError too."""
    remembered = memories(root)
    leaving = [named(name, remembered) for name in dict.fromkeys(request.remove)]
    blueprints = Blueprints(root, remembered, request.config, [memory.module for memory in leaving])
    _refuse_contradictions(blueprints, leaving)
    done = tidied(_plans(blueprints, request.keep), lambda: blueprints.former_texts, root)
    told = [f"{path} was merged and is not in style: {_UNTIDY}" for path in done.left]
    result = Result(done.plans, [memory.module for memory in leaving], notices=told)
    if request.is_check or not (result.due or leaving):
        return result
    _refuse_what_rows_would_lose(blueprints, result)
    changes = [
        *(
            change
            for memory in leaving
            for change in removal(blueprints, memory, result.removed, force=request.force)
        ),
        *(change for plan in result.due for change in plan.changes if change.is_written),
    ]
    made = _made(blueprints, result, changes)
    if not request.is_dry_run:
        write(root, made.written)
    return made


def _refuse_contradictions(blueprints: Blueprints, leaving: Sequence[Memory]) -> None:
    gone = {memory.module for memory in leaving}
    if still := [entity.name for entity in blueprints.entities if entity.module in gone]:
        raise Refused([f"--remove {name}: the blueprint names it; take it out there first" for name in still])


def _refuse_what_rows_would_lose(blueprints: Blueprints, result: Result) -> None:
    changed = [plan.entity for plan in result.due if plan.entity.module in blueprints.former]
    if lines := [line for one in changed for line in refusals(blueprints.former[one.module], one)]:
        raise Refused(lines)


def _plans(blueprints: Blueprints, keep: Sequence[str]) -> list[ModulePlan]:
    rendered = blueprints.rendered()
    plans = [
        plan(
            blueprints.root,
            entity,
            rendered[entity.module],
            blueprints.memories.get(entity.module),
            lambda: blueprints.former_texts,
            keep,
        )
        for entity in (*blueprints.entities, *blueprints.dependants)
    ]
    if unknown := set(keep) - {change.path for one in plans for change in one.changes}:
        raise Refused([f"--keep {path}: the blueprint makes no such file" for path in sorted(unknown)])
    return plans


def _made(blueprints: Blueprints, result: Result, changes: Sequence[FileChange]) -> Result:
    """With everything that only the finished program can tell."""
    root = blueprints.root
    with staged(root, changes) as stage:
        outcome = ask(stage, _job(blueprints, result))
    extras = [_change(root, path, text) for path, text in outcome.snapshots.items()]
    revision = None
    if outcome.revision is not None:
        revision = _free(root, outcome.slug)
        extras.append(_change(root, revision, formatted({revision: outcome.revision}, root)[revision]))
    # Last: whoever is interrupted before them finds the same work to do again, and not half of it done.
    extras += [_change(root, memory_path(plan.entity.module), _memory(plan, outcome)) for plan in result.due]
    written = [change for change in (*changes, *extras) if change.is_written]
    return Result(result.plans, result.removed, written, revision, [*result.notices, *outcome.notices])


def _job(blueprints: Blueprints, result: Result) -> Mapping[str, Any]:
    """For `migrating`, which runs in the staged program."""
    after = [plan.entity for plan in result.due]
    touched = [*result.removed, *(entity.module for entity in after)]
    before = [blueprints.former[module] for module in touched if module in blueprints.former]
    old, new = _searched(before), _searched(after)
    changed = {table for table in old.keys() & new.keys() if old[table] != new[table]}
    known = [blueprints.memories[module] for module in touched if module in blueprints.memories]
    pairs = [(blueprints.former[one.module], one) for one in after if one.module in blueprints.former]
    return {
        "message": _message(result),
        "modules": [entity.module for entity in after],
        "tables": [table for memory in known for table in memory.tables],
        "rows": {
            "up": fillings(after),
            "down": fillings(before),
            "searches_up": {table: new[table] for table in changed if new[table]},
            "searches_down": {table: old[table] for table in changed if old[table]},
            "demands_up": {now.table: found for one, now in pairs if (found := demands(one, now))},
            "demands_down": {one.table: found for one, now in pairs if (found := demands(now, one))},
        },
    }


def _searched(entities: Sequence[Entity]) -> dict[str, list[str]]:
    return {entity.table: [a.name for a in entity.attributes if a.searchable] for entity in entities}


def _message(result: Result) -> str:
    """`add orders, products; change customers`; numbers where names would be too long for the name of a file."""
    new = [plan.entity.module for plan in result.due if plan.memory is None]
    changed = [plan.entity.module for plan in result.due if plan.memory is not None]
    groups = {"add": sorted(new), "change": sorted(changed), "drop": sorted(result.removed)}
    named = "; ".join(f"{verb} {', '.join(names)}" for verb, names in groups.items() if names)
    counted = "; ".join(f"{verb} {len(names)} modules" for verb, names in groups.items() if names)
    return named if len(named) <= _SLUG else counted


def _memory(plan: ModulePlan, outcome: Outcome) -> str:
    entity = plan.entity
    return Memory(entity.module, entity.source, tuple(outcome.tables[entity.module]), plan.files).text


def _change(root: Path, path: str, text: str) -> FileChange:
    there = text_of(root / path)
    if there == text:
        return FileChange(path, Verdict.SAME, there, text)
    return FileChange(path, Verdict.NEW if there is None else Verdict.REPLACED, there, text)


def _free(root: Path, slug: str) -> str:
    """A path for a revision that no other one has: two of a day can be about the same module."""
    for number in range(1, 1000):
        path = f"{VERSIONS}/{slug}{f'_{number}' if number > 1 else ''}.py"
        if not (root / path).exists():
            return path
    raise Refused([f"{VERSIONS}/{slug}.py: too many revisions of this name today"])
