"""What each command does. Each returns whether all that it looked at is as it was sealed."""

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from app.composition import seal_rules
from app.core.config import anchored
from app.core.evidence.archive import Archive, Outcome, segment_told
from app.core.evidence.archive_query import Wanted, query
from app.core.evidence.restoring import LogFile
from app.core.evidence.sealer import Sealer
from app.core.evidence.signing import load_key, make_key
from app.core.evidence.vacuum import vacuum
from app.core.transaction import UnitOfWork
from archive_tool.checking import verify
from archive_tool.choosing import (
    all_manifests,
    chosen_manifests,
    chosen_segments,
    copy_rows,
    is_gone,
    manifest_told,
)
from archive_tool.context import Context

_RESTORABLE = {"pruned", "restoring", "restored"}
_BATCH = 1000


async def run(context: Context) -> bool:
    """`run`, `archive` and `prune`."""
    command, options = context.options.command, context.options
    async with context.database() as database:
        archive = context.archive(database)
        if options.dry_run:
            return await _forecast(context, archive)
        outcome = await archive.work(
            context.scope, archive=command in {"run", "archive"}, prune=command in {"run", "prune"}
        )
        if getattr(options, "vacuum", False) and outcome.pruned_rows:
            await vacuum(database, context.streams)
        _tell(context, outcome)
    return True


async def restore(context: Context) -> bool:
    """Into the log, or into a file of its own."""
    if context.options.into == "hot":
        async with context.database() as database:
            archive = context.archive(database)
            chosen = chosen_segments(context, await archive.segments(context.streams))
            _tell(context, await archive.restore([one for one in chosen if one.state in _RESTORABLE]))
        return True
    path = anchored(Path(context.options.into.partition(":")[2]))
    destination = context.destination
    asked = chosen_manifests(context, all_manifests(context, destination))
    manifests = [manifest for manifest in asked if not is_gone(destination, manifest)]
    file = LogFile(path)
    try:
        rows = sum(copy_rows(context, file, destination, manifest) for manifest in manifests)
    finally:
        file.close()
    context.screen.line(f"{path}: {rows} rows of {len(manifests)} segments")
    context.screen.result({"into": str(path), "restored_rows": rows, "segments": [m.name for m in manifests]})
    return True


async def show(context: Context) -> bool:
    """`list`: what the database knows; without one, what the manifests say."""
    if context.is_offline:
        place = context.destination
        told = [manifest_told(place, manifest) for manifest in all_manifests(context, place)]
    else:
        async with context.database() as database:
            segments = await context.archive(database).segments(context.streams)
            told = [segment_told(segment) for segment in segments]
    for one in told:
        context.screen.line(
            f"{one['name']}  {one['state']:9} {one['row_count']:>9} rows  {one['min_at']} to {one['max_at']}"
        )
    context.screen.line(f"{len(told)} segments")
    context.screen.result({"segments": told})
    return True


async def search(context: Context) -> bool:
    """`query`: lines of the files, as they are."""
    options, destination = context.options, context.destination
    asked_changes = options.entity is not None
    for stream in context.streams:
        if stream == "access" and asked_changes:
            continue
        wanted = Wanted(
            stream=stream,
            actor_id=options.actor,
            entity=options.entity,
            entity_id=options.pk,
            since=options.since,
            until=options.until,
            request_id=options.request,
        )
        for line in query(destination, wanted):
            context.screen.data(line)
    return True


async def expire(context: Context) -> bool:
    """Files that were kept long enough."""
    async with context.database() as database:
        archive = context.archive(database)
        outcome = await archive.expire(context.scope, is_dry=context.options.dry_run)
    word = "would be removed" if context.options.dry_run else "removed"
    for name in outcome.segments:
        context.screen.line(f"{name}: {word}")
    for name, why in outcome.kept.items():
        context.screen.line(f"{name}: stays, {why}")
    context.screen.result({"ok": True, "dry_run": context.options.dry_run, **outcome.told()})
    return True


async def seal(context: Context) -> bool:
    """Seals now, makes a key, or hands over to another one."""
    options = context.options
    if options.make_key is not None:
        public = make_key(options.make_key)
        context.screen.line(f"{options.make_key}: keep it secret and backed up; {public} is for everybody")
        context.screen.result({"key": str(options.make_key), "public_key": str(public)})
        return True
    async with context.database() as database:
        sealer = Sealer(UnitOfWork(database), seal_rules(context.settings))
        made = await sealer.replace_key() if options.replace_key else []
        made += await sealer.seal_all()
        if options.hand_over_to is not None:
            made += await sealer.hand_over(load_key(options.hand_over_to))
    for one in made:
        context.screen.line(f"{one.stream} seal {one.number}: rows {one.first_id} to {one.last_id}")
    if options.hand_over_to is not None:
        context.screen.line(
            f"Handed over. Now set AUDIT_SEAL_KEY_FILE={options.hand_over_to} and start again."
        )
    context.screen.result({"seals": [one.told() for one in made]})
    return True


async def _forecast(context: Context, archive: Archive) -> bool:
    """`--dry-run`."""
    told: list[dict[str, Any]] = []
    if context.options.command != "prune":
        told += [
            {name: getattr(one, name) for name in one.__slots__}
            async for one in archive.forecast(context.scope)
        ]
    for one in told:
        size = f"about {one['plain_bytes']} bytes" if one["plain_bytes"] else "to be sealed first"
        context.screen.line(
            f"{one['stream']} {one['first_id']} to {one['last_id']}: {one['row_count']} rows, {size},"
            f" {one['held_count']} of them held"
        )
    waiting = [
        one for one in await archive.segments(context.streams) if one.state not in {"pruned", "expired"}
    ]
    for segment in waiting:
        context.screen.line(f"{segment.name}: {segment.state}, would go on from there")
    rows = sum(one["row_count"] for one in told)
    context.screen.line(f"{rows} rows would be archived. Nothing was written.")
    unfinished = [segment_told(segment) for segment in waiting]
    context.screen.result({"dry_run": True, "rows": rows, "segments": told, "unfinished": unfinished})
    return True


def _tell(context: Context, outcome: Outcome) -> None:
    for name, segment in outcome.segments.items():
        held = f", {segment.held_count} held" if segment.held_count else ""
        context.screen.line(f"{name}: {segment.row_count} rows, {segment.state}{held}")
    told = outcome.told()
    counts = ", ".join(f"{told[f'{word}_rows']} rows {word}" for word in ("archived", "pruned", "restored"))
    end = " Interrupted: the next run goes on from here." if outcome.interrupted else ""
    context.screen.line(f"{counts}.{end}")
    context.screen.result({"ok": True, **told})


COMMANDS: Mapping[str, Callable[[Context], Coroutine[None, None, bool]]] = {
    "run": run,
    "archive": run,
    "prune": run,
    "verify": verify,
    "restore": restore,
    "list": show,
    "query": search,
    "expire": expire,
    "seal": seal,
}
