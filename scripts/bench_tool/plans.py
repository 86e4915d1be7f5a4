"""Which indexes PostgreSQL used, out of the plans that its module auto_explain writes to the server's log."""

import json
from collections.abc import Iterator
from typing import Any

LOGS = ("audit_access", "audit_change")
SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_format": "json",
}
# The statement that looks up the end of the log is part of every question, and always the same.
_BOUND = "pg_current_snapshot"
_MARK = "plan:"


def plans_in(text: str) -> Iterator[dict[str, Any]]:
    """The plans in a part of the log, each with its `Query Text`."""
    text = text.replace("\n\t", "\n")  # the log indents all lines of an entry but the first
    decoder, place = json.JSONDecoder(), text.find(_MARK)
    while place >= 0:
        begin = text.find("{", place)
        if begin < 0:
            return
        plan, end = decoder.raw_decode(text, begin)
        yield plan
        place = text.find(_MARK, end)


def ways_to_the_logs(text: str) -> list[str]:
    """The indexes by which rows of the logs were found, in order of their names; `Seq Scan on …` for none."""
    found: set[str] = set()
    for plan in plans_in(text):
        if _BOUND not in plan.get("Query Text", ""):
            found |= set(_ways(plan["Plan"]))
    return sorted(found)


def _ways(node: dict[str, Any]) -> Iterator[str]:
    name = node.get("Index Name", "")
    if any(f"_{log}" in name for log in LOGS):
        yield name
    if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in LOGS:
        yield f"Seq Scan on {node['Relation Name']}"
    for inner in node.get("Plans", ()):
        yield from _ways(inner)
