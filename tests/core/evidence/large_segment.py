"""Writes a segment of many rows, checks it and asks it; prints the most memory it ever had, in KiB."""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from app.core.evidence.archive_check import check_archive
from app.core.evidence.archive_query import Wanted, query
from app.core.evidence.canonical import Line
from app.core.evidence.destinations import Folder
from tests.core.evidence.made_archives import MadeArchive, lines

BATCH = 5_000


def batches(count: int) -> Iterator[list[Line]]:
    """Rows that differ in their ids alone."""
    (like,) = lines("changes", 1, 1)
    before, behind = like.data.split(b'"id":1,')
    for start in range(1, count + 1, BATCH):
        ids = range(start, start + BATCH)
        yield [Line(id, like.at, b'%b"id":%d,%b' % (before, id, behind)) for id in ids]


def main(folder: Path, count: int) -> None:
    made = MadeArchive(Folder(folder))
    made.write_batches(batches(count), [made.seal_batches(batches(count))])
    (report,) = check_archive(made.destination, streams=["changes"])
    assert report.ok
    assert report.checked_rows == count
    assert sum(1 for _ in query(made.destination, Wanted("changes"))) == count
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
