"""The report of an import as a file: JSON, CSV, or one JSON object per line, by the name of the file."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import TextIO

from chalicelib.domain.opportunity_types import UNIT_TYPES
from chalicelib.domain.parties import Json
from chalicelib.importing.advice import FOR_CAUSE, advice_for
from chalicelib.importing.harvest import ANCESTOR_TYPES, SUPPORTED
from chalicelib.importing.rpde import Imported
from chalicelib.services.inventory import Outcome

_OUTCOMES = (Outcome.added, Outcome.changed, Outcome.unchanged, Outcome.withdrawn)
COLUMNS = ("pages", "harvested", *(outcome.value for outcome in _OUTCOMES), "left out", "not bookable")
_CSV_COLUMNS = ("outcome", "type", "id", "offer", "reason", "advice", "name", "startDate", "orders")


@dataclass(frozen=True)
class FeedRow:
    """What an import did with the feeds of one type; `counts` are those of COLUMNS, None where they do not apply."""

    kind: str
    counts: tuple[int | None, ...]


def feed_rows(imported: Imported) -> list[FeedRow]:
    """One row for each type that is in a feed, or that the import concerns."""
    harvest, changes = imported.harvest, imported.changes
    left_out = Counter(each.kind for each in chain(imported.intake.left_out, changes.left_out))
    # An Opportunity may have several reasons, which follow each other.
    whole = groupby(
        (each for each in changes.not_bookable if not each.offer_id), lambda each: (each.kind, each.id)
    )
    barred = Counter(kind for (kind, _), _ in whole)
    shown = [kind for kind in SUPPORTED if any(harvest.of_kind(kind))]
    shown += sorted({*left_out, *(kind for kind, _ in changes.outcomes)} - set(shown))
    rows = []
    for kind in shown:
        feeds = list(harvest.of_kind(kind))
        harvested = sum(feed.published for feed in feeds)
        # Units are part of their FacilityUses, and ancestors of what inherits from them.
        is_part = kind in UNIT_TYPES or kind in ANCESTOR_TYPES
        counts = [None if is_part else changes.outcomes[kind, outcome] for outcome in _OUTCOMES]
        pages = sum(feed.pages for feed in feeds)
        rows.append(
            FeedRow(kind, (pages, harvested, *counts, left_out[kind], None if is_part else barred[kind]))
        )
    return rows


def write_report(file: TextIO, path: Path, imported: Imported) -> None:
    """Write the report in the format of the file's name: `.json`, `.csv`, or JSON lines for any other."""
    if path.suffix == ".json":
        json.dump(_document(imported), file, indent=2, ensure_ascii=False)
        file.write("\n")
    elif path.suffix == ".csv":
        table = csv.DictWriter(file, _CSV_COLUMNS, restval="", lineterminator="\n")
        table.writeheader()
        table.writerows({name: cell(value) for name, value in row.items()} for row in entries(imported))
    else:
        for row in entries(imported):
            file.write(json.dumps(row) + "\n")


def entries(imported: Imported) -> Iterator[Json]:
    """Everything that was left out, cannot be booked or was withdrawn, Orders on deleted sessions, unused defaults."""
    intake, changes = imported.intake, imported.changes
    for failed in imported.harvest.failed:
        yield {"outcome": "feed failed", "type": failed.kind, "id": failed.url, "reason": failed.reason}
    for unmatched in intake.unmatched:
        row = {"outcome": "default without effect", "type": unmatched.table, "id": unmatched.key}
        yield row | {"reason": unmatched.reason, "advice": unmatched.advice}
    for left_out in chain(intake.left_out, changes.left_out):
        row = {"outcome": "left out", "type": left_out.kind, "id": left_out.id, "reason": left_out.reason}
        yield row | {"advice": FOR_CAUSE[left_out.cause]}
    for barred in changes.not_bookable:
        row = {"outcome": "not bookable", "type": barred.kind, "id": barred.id}
        row |= {"offer": barred.offer_id} if barred.offer_id else {}
        yield row | {"reason": barred.text, "advice": advice_for(barred)}
    for gone in changes.withdrawn:
        yield {"outcome": "withdrawn", "type": gone.kind, "id": gone.id, "reason": gone.reason}
    for over in changes.oversold:
        row = {"outcome": "oversold", "type": over.kind, "id": over.id, "name": over.name}
        row["startDate"] = over.starts_at.isoformat() if over.starts_at else ""
        orders = " ".join(f"{key.partner_id}/{key.uuid}" for key in over.orders)
        yield row | {
            "reason": f"{over.spaces} spaces are held here and sold by the source, too",
            "orders": orders,
        }
    for each in changes.standing:
        row = {"outcome": "orders stand", "type": each.kind, "id": each.id, "name": each.name}
        row["startDate"] = each.starts_at.isoformat() if each.starts_at else ""
        yield row | {"orders": each.orders}


def _document(imported: Imported) -> Json:
    changes = imported.changes
    return {
        "site": imported.harvest.site.url,
        "feeds": [
            {
                "type": row.kind,
                **{_camel(name): count for name, count in zip(COLUMNS, row.counts, strict=True)},
            }
            for row in feed_rows(imported)
        ],
        "sellers": {outcome.value: count for outcome, count in sorted(changes.sellers.items())},
        "sellerDetailsMissing": {gap.seller_id: list(gap.missing) for gap in imported.intake.seller_gaps},
        "leavingSale": {"before": changes.leaving.before, "leaving": changes.leaving.leaving},
        "unsupported": list(imported.harvest.site.unsupported),
        "entries": list(entries(imported)),
    }


def _camel(name: str) -> str:
    first, *others = name.split()
    return first + "".join(each.capitalize() for each in others)


def cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula, whatever a source has published."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t") else value
