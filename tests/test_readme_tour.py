"""The README's tour, line by line as it is written, against a real server on a fresh database."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.config import ROOT
from app.registry import discover
from tests.documents import ADDRESS, Block, blocks_of, fits, steps_of, walk
from tests.program import Program, copy_project

README = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR = steps_of(blocks_of(README), "tour")
VISITED = set((re.search(r"<!-- the tour visits: (.*) -->", README) or [""] * 2)[1].split())

# A team that has taken a module out rewrites the tour when it rewrites the README.
gone = sorted(VISITED - {module.name for module in discover().modules})
pytestmark = pytest.mark.skipif(
    bool(gone), reason=f"the tour visits modules that were removed: {', '.join(gone)}"
)
# What is put into the first two blocks, and what is then told.
PLANTED = [
    ("/auth/me", "/auth/you", "instead of"),
    ("ChangeMe123!", "ChangeMe124!", "invalid_credentials"),
    ("/auth/login", "/auth/logon", "not_found"),
    ("field access_token", "field no_such_field", "exit code 1"),
    ("call()", "kall()", "exit code 127"),
]


def test_tour_names_what_it_visits_and_where() -> None:
    paths = {path for block, _ in TOUR for path in re.findall(r"/api/v1/(\w+)", block.text)}
    assert paths == VISITED
    assert sum(block.text.count(ADDRESS) for block, _ in TOUR) == 1
    assert sum(promised is not None for _, promised in TOUR) >= 8


# One test, because workers that share tests would each start a server.
def test_tour_prints_what_the_readme_says(tmp_path: Path) -> None:
    program = Program(copy_project(tmp_path / "tessera"), {"ENVIRONMENT": "development"})
    program.must("init-db")
    program.must("seed")
    with program.serving(path="/health/ready") as served:
        assert walk(TOUR, program, served.url) == []
        assert walk(TOUR, program, served.url) == []  # it leaves nothing behind

        for old, new, told in PLANTED:
            assert any(old in block.text for block, _ in TOUR[:2])
            broken = [(replace(block, text=block.text.replace(old, new)), said) for block, said in TOUR[:2]]
            assert told in "\n".join(walk(broken, program, served.url))


def test_answers_are_compared_but_for_what_is_left_out() -> None:
    assert fits('{"id":"0199","n":1}\r\n\n', '{"id":"…","n":1}')
    assert not fits('{"id":"0199","n":12}', '{"id":"…","n":1}')
    assert fits("204", "204")
    assert not fits("200", "204")


def test_blocks_are_found_with_their_answers() -> None:
    document = "# x\n\n```bash tour\nls\n```\nthen\n\n```text answer\na\n```\n\n```bash\nno\n```\n"

    assert steps_of(blocks_of(document), "tour") == [(Block("bash", "tour", "ls\n", 3), "a\n")]
