"""`verify`: the files against their manifests and seals, the logs against theirs, and both against each other."""

from collections.abc import Collection
from typing import Any

from app.composition import seal_rules
from app.core.errors import Conflict, Invalid
from app.core.evidence.anchors import Head
from app.core.evidence.archive import Archive
from app.core.evidence.archive_check import ArchiveReport, check_archive
from app.core.evidence.archiver import stream_of
from app.core.evidence.canonical import Stream
from app.core.evidence.destinations import StorageFault
from app.core.evidence.findings import Finding, Report
from app.core.evidence.manifest import MANIFEST
from app.core.evidence.models import AuditSegment
from app.core.evidence.places import open_anchor
from app.core.evidence.runs import VerificationFailed
from app.core.evidence.seals import Seal
from app.core.evidence.signing import load_public_keys
from app.core.evidence.store import EvidenceStore
from app.core.evidence.verifier import Verifier, archived_ranges
from app.core.transaction import UnitOfWork
from archive_tool.context import Context

_TRIES = 3
_WITH_MANIFEST = {"written", "verified", "pruned", "restoring", "restored", "expired"}


async def verify(context: Context) -> bool:
    """Tells what it finds; whether that is nothing. Raises Invalid, StorageFault, KeyFault, AnchorFault."""
    trusted = _trusted(context)
    if not trusted:
        context.screen.warn("no public key was given: signatures are not checked against anybody's")
    handovers: list[Seal] = []
    logs = [] if context.is_offline else await _logs(context, trusted, handovers)
    files = _files(context, trusted, handovers)
    if context.is_offline and not files:
        raise StorageFault(f"{context.destination.uri}: there is neither an archive nor a database")
    reports: list[ArchiveReport | Report] = [*files, *logs]
    for report in reports:
        for finding in report.findings:
            where = finding.segment or f"rows {finding.first_id} to {finding.last_id}"
            ids = f": {', '.join(map(str, finding.ids[:10]))}" if finding.ids else ""
            context.screen.fault(f"{finding.stream} {finding.kind}, {where}: {finding.what}{ids}")
    is_sound = all(report.ok for report in reports)
    if is_sound:
        context.screen.line("Nothing was found that should not be.")
    else:
        context.screen.fault("NOT as it was sealed.")
    context.screen.result(
        {
            "ok": is_sound,
            "signatures_checked": bool(trusted),
            "archive": [report.told() for report in files],
            "logs": [report.told() for report in logs],
        }
    )
    return is_sound


def _trusted(context: Context) -> frozenset[str]:
    """The keys that were given; without any, the one that this installation signs with."""
    if context.options.public_key:
        return load_public_keys(context.options.public_key)
    key = seal_rules(context.settings).key
    return frozenset() if key is None else frozenset({key.public})


def _heads(context: Context) -> list[Head] | None:
    uri = context.options.anchor or context.settings.anchor_uri
    try:
        anchor = open_anchor(uri)
    except ValueError as error:
        raise Invalid(f"--anchor: {error}") from None
    if anchor is None or (uri.startswith("stdout") and not context.options.anchor):
        context.screen.warn("no anchor can be read: an end that was cut off would not be seen")
        return None
    return anchor.heads()


def _files(context: Context, trusted: Collection[str], handovers: Collection[Seal]) -> list[ArchiveReport]:
    destination = context.destination
    if not destination.names(MANIFEST) and not destination.names(".jsonl.gz"):
        return []
    reports = check_archive(
        destination,
        streams=context.streams,
        trusted=trusted,
        handovers=handovers,
        on_row_count=lambda count: context.screen.progress("verify", "files", count, 0),
    )
    for report in reports:
        context.screen.line(
            f"files of {report.stream}: {report.segments} segments, {report.checked_rows} rows,"
            f" {report.seals} seals, signatures {report.signatures}"
        )
        for name in report.anonymised:
            context.screen.warn(f"{name} is anonymised: its contents don't prove themselves")
    return reports


async def _logs(context: Context, trusted: Collection[str], handovers: list[Seal]) -> list[Report]:
    """One report for each log; notes the seals that hand over to other keys."""
    reports = []
    heads = _heads(context)
    async with context.database() as database:
        archive, store = context.archive(database), EvidenceStore(UnitOfWork(database))
        for stream in context.streams:
            handovers += await store.handovers(stream)
            report = await _log(archive, store, stream, trusted, heads)
            reports.append(report)
            _tell_log(context, report)
    return reports


async def _log(
    archive: Archive, store: EvidenceStore, stream: Stream, trusted: Collection[str], heads: list[Head] | None
) -> Report:
    """One log, and once more where rows were removed or restored meanwhile: they would look like forged ones."""
    for _ in range(_TRIES):
        segments = await archive.segments([stream])
        archived = {stream: archived_ranges(segments)}
        verifier = Verifier(store, trusted=trusted, heads=heads or (), archived=archived)
        report = await verifier.verify(stream)
        report.anchor = "checked" if heads is not None else "none"
        report.findings += [finding for one in segments for finding in _against_files(archive, one)]
        if report.ok or archived[stream] == archived_ranges(await archive.segments([stream])):
            return report
    raise Conflict("The archive is at work; verify again when it is done.")


def _tell_log(context: Context, report: Report) -> None:
    context.screen.line(
        f"log of {report.stream}: {report.checked_rows} rows under {report.seals} seals,"
        f" {report.unsealed_rows} rows not sealed yet, signatures {report.signatures}"
    )
    lost: list[dict[str, Any]] = report.lost_seq
    for hole in lost:
        context.screen.line(f"lost in process {hole['boot_id']}: requests {hole['from']} to {hole['to']}")


def _against_files(archive: Archive, segment: AuditSegment) -> list[Finding]:
    """Whether what the database says is archived has a manifest, and that one."""
    if segment.state not in _WITH_MANIFEST:
        return []
    try:
        archive.manifest_of(segment)
    except (VerificationFailed, StorageFault) as fault:
        place = (stream_of(segment), segment.first_id, segment.last_id)
        return [Finding("segment", *place, str(fault), segment=segment.name)]
    return []
