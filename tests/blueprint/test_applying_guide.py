"""The ways from a blueprint to a module that the README and the guide show, run as they are written."""

import json
import re
import subprocess
import sys
from pathlib import Path

from app.core.config import ROOT
from tests.documents import Block, blocks_of, steps_of, walk
from tests.program import Program, copy_project

README, GUIDE = ROOT / "README.md", ROOT / "docs" / "NEW_MODULE_GUIDE.md"
COMMANDS_AT_MOST = 4
SHOWN = {"entities.json", "blueprint"}


def blocks(document: Path) -> list[Block]:
    return blocks_of(document.read_text(encoding="utf-8"))


def give_environment(root: Path) -> None:
    """This interpreter's packages as the copy's own `.venv`, so that scripts/dev.py has nothing to install."""
    stamp = Path(sys.prefix) / "tessera-stamp.json"
    if not stamp.exists():
        return  # an environment of somebody's own: then it is made anew
    subprocess.run(["cp", "-al", sys.prefix, root / ".venv"], check=True)
    ours = json.loads(stamp.read_text()) | {"folder": str(root / ".venv")}
    (root / ".venv" / stamp.name).unlink()  # the link, not what it leads to
    (root / ".venv" / stamp.name).write_text(json.dumps(ours))


def test_readme_and_guide_show_the_same_way() -> None:
    for kind in ("json", "bash"):
        ours = [
            [block.text for block in blocks(document) if block.language == kind and block.mark in SHOWN]
            for document in (README, GUIDE)
        ]
        assert ours[0] == ours[1] != []


def test_blueprint_of_the_guide_becomes_a_tested_module_in_a_few_commands(tmp_path: Path) -> None:
    program = Program(copy_project(tmp_path / "tessera"), {"ENVIRONMENT": "development"})
    give_environment(program.root)
    (blueprint,) = (block for block in blocks(GUIDE) if block.language == "json")
    (program.root / blueprint.mark).write_text(blueprint.text)
    steps = steps_of(blocks(GUIDE), "blueprint")
    assert walk(steps, program) == []
    assert sum(len(block.text.splitlines()) for block, _ in steps) + len(["clone"]) <= COMMANDS_AT_MOST

    (module,) = set(re.findall(r"tests/modules/(\w+)", " ".join(block.text for block, _ in steps)))
    program.must("init-db")
    program.must("seed")
    assert f"{module}:read" in program.must("modules")
    assert "modules     well" in program.must("doctor")
    with program.serving(path="/health/ready") as served:
        assert served.get(f"/api/v1/{module}").status_code == 401, "the module is there, and guarded"
