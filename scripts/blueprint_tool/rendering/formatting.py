"""Brings generated texts into the style of the house: one call of ruff for all of them."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from blueprint_tool.refusals import Refused

# What the linter takes for secrets where texts are assigned to it: here these are privileges and defaults.
_SECRETIVE = re.compile(r"pas+wo?r?d|pass|pwd|token|secret", re.IGNORECASE)


def formatted(texts: Mapping[str, str], root: Path) -> dict[str, str]:
    """The texts by path, formatted and with their imports in order. Raises Refused where ruff can't read one.

    They lie in a folder of their own meanwhile, under the paths that they will have: rules hang on them.
    """
    with tempfile.TemporaryDirectory(prefix="tessera-format-") as name:
        folder = Path(name)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        (folder / "ruff.toml").write_bytes((root / "ruff.toml").read_bytes())
        _ruff(folder, "check", "--fix", "--exit-zero")
        if any(_SECRETIVE.search(text) for text in texts.values()):
            _ruff(folder, "check", "--select", "S105,S106,S107", "--add-noqa=no secret")
        _ruff(folder, "format")
        return {path: (folder / path).read_text(encoding="utf-8") for path in texts}


def _ruff(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Refused([f"ruff can't {words[0]} what was generated: {done.stderr.strip()}"])
