"""What can still be read of a damaged journal, row by row: from itself, then from its backup."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from velatura.jobs import wal
from velatura.jobs.repair import COLUMN, Row, damage_of, rows_of

log = logging.getLogger(__name__)


def salvaged(path: Path, backup: Path, template: bytes) -> list[Row]:
    """The jobs of a damaged journal, by number.

    A job that neither the journal nor its backup holds is lost. One that only the backup holds is as it was
    then: a job that ended since runs again.

    Args:
        path: the journal, with its log beside it; neither is changed.
        backup: a copy from before, which need not exist.
        template: an empty journal, whose first page replaces a damaged one.
    """
    rows: dict[int, Row] = {}
    old = {row[0]: row for row in rows_of(backup)} if backup.exists() else {}
    most = max(old, default=0)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="salvage-") as folder:
        for first_page in (b"", template[: wal.PAGE]):
            copy = _copy(path, Path(folder), first_page)
            for row in rows_of(copy, most):
                known = rows.get(row[0])
                if known is None or (damage_of(known) and not damage_of(row)):
                    rows[row[0]] = row
    name = COLUMN["id"]
    mine = {
        number: row
        for number, row in rows.items()
        # an id never changes, and no check of its own shows its damage
        if number not in old or (not damage_of(row) and row[name] == old[number][name])
    }
    rest = {number: row for number, row in old.items() if number not in mine}
    log.error("%d edits were read from the damaged journal, and %d from its backup", len(mine), len(rest))
    return [row for _, row in sorted((mine | rest).items())]


def _copy(path: Path, folder: Path, first_page: bytes) -> Path:
    """A copy whose log is mended; with another first page unless that is empty."""
    copy = folder / f"{len(list(folder.iterdir()))}.sqlite"
    shutil.copyfile(path, copy)
    log_file = path.with_name(path.name + "-wal")
    if log_file.exists():
        mended = wal.mended(log_file)
        copy.with_name(copy.name + "-wal").write_bytes(log_file.read_bytes() if mended is None else mended)
    if first_page:
        page = bytearray(first_page)
        page[18:20] = b"\2\2"  # it has a log
        page[28:40] = bytes(12)  # the size is the file's; no page is free
        with open(copy, "r+b") as file:
            file.write(page)
    return copy
