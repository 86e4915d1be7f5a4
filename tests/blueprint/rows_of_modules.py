"""Rows of generated modules, made and read again through the program: run inside of a copy of the project.

`python -m tests.blueprint.rows_of_modules make|read URL FILE`; FILE keeps the answers, by module.
"""

import asyncio
import json
import sys
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import Any

from app.registry import discover
from tests.api import Api, Caller
from tests.backend import run_app
from tests.conftest import settings_for

Answers = dict[str, list[dict[str, Any]]]


def modules() -> list[str]:
    """The generated ones; those that others refer to first."""
    made = {path.parent.name for path in Path("app/modules").glob("*/blueprint.json")}
    needs = {one.name: sorted(made & {*one.depends_on}) for one in discover().modules if one.name in made}
    return list(TopologicalSorter(dict(sorted(needs.items()))).static_order())


async def make(api: Api, admin: Caller) -> Answers:
    """Three of each by its own tests, the last one deleted; the answers of the first two."""
    found: Answers = {}
    for module in modules():
        tests, path = import_module(f"tests.modules.{module}.test_{module}"), module.replace("_", "-")
        keeper = await api.user(*tests.ALL)
        rows = [await tests.make(keeper, turn) for turn in range(3)]
        await admin.delete(f"{path}/{rows[2]['id']}")
        found[module] = [(await admin.get(f"{path}/{row['id']}")).json() for row in rows[:2]]
    return found


async def read(admin: Caller, known: Answers) -> Answers:
    """The same rows as they are now, each in the list too. Asserts that they can be read."""
    found: Answers = {}
    for module, rows in known.items():
        path = module.replace("_", "-")
        answers = [await admin.get(f"{path}/{row['id']}") for row in rows]
        assert [answer.status_code for answer in answers] == [200] * len(rows), (module, answers[0].text)
        found[module] = [answer.json() for answer in answers]
        listed = await admin.get(path, params={"per_page": 100})
        assert {row["id"] for row in rows} <= {row["id"] for row in listed.json()["items"]}, module
    return found


async def answers(way: str, url: str, known: Answers) -> Answers:
    async with run_app(settings_for(url, "")) as running:
        api = Api(running)
        admin = await api.superuser()
        return await (make(api, admin) if way == "make" else read(admin, known))


def main(way: str, url: str, file: str) -> None:
    path = Path(file)
    known = json.loads(path.read_text()) if way == "read" else {}
    path.write_text(json.dumps(asyncio.run(answers(way, url, known))))


if __name__ == "__main__":
    main(*sys.argv[1:])
