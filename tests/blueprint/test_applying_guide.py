"""The guide's way from a blueprint to a module, run as it is written, in a copy of the tree."""

from pathlib import Path

from app.core.config import ROOT
from tests.documents import blocks_of, steps_of, walk
from tests.program import Program, copy_project

GUIDE = (ROOT / "docs" / "NEW_MODULE_GUIDE.md").read_text(encoding="utf-8")
BLOCKS = blocks_of(GUIDE)


def test_blueprint_of_the_guide_becomes_a_tested_module(tmp_path: Path) -> None:
    program = Program(copy_project(tmp_path / "tessera"), {"ENVIRONMENT": "development"})
    (blueprint,) = (block for block in BLOCKS if block.language == "json")
    (program.root / blueprint.mark).write_text(blueprint.text)
    assert walk(steps_of(BLOCKS, "blueprint"), program) == []
    assert "berths:read" in program.must("modules")
    assert "modules     well" in program.must("doctor")
