"""`.env.example` lists every setting with its default, and says what it is for."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.core.config import ROOT, Environment, Settings, load_settings

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
LINE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")


def faults_of(text: str) -> list[str]:
    """What is wrong with such a file, one line each."""
    found: dict[str, str] = {}
    faults, is_explained = [], False
    for line in text.splitlines():
        if match := LINE.fullmatch(line):
            if match[1] in found:
                faults.append(f"{match[1]} stands twice")
            if not is_explained:
                faults.append(f"{match[1]} has no comment")
            found[match[1]] = match[2]
        elif line and not line.startswith("#"):
            faults.append(f"neither setting nor comment: {line}")
        # One comment may speak of settings that follow each other; an empty line ends that.
        is_explained = line.startswith("#") or (is_explained and bool(match))
    defaults = expected()
    if next(iter(found), "") != "ENVIRONMENT":
        faults.append("ENVIRONMENT does not come first")
    faults += [f"{name} is missing" for name in defaults.keys() - found.keys()]
    faults += [f"{name} is no setting" for name in found.keys() - defaults.keys()]
    faults += [
        f"{name} is {found[name]!r}, its default {defaults[name]!r}"
        for name in found.keys() & defaults.keys()
        if found[name] != defaults[name]
    ]
    return sorted(faults)


def expected() -> dict[str, str]:
    """Every setting as the file must have it."""
    defaults = {name.upper(): written(field.default) for name, field in Settings.model_fields.items()}
    return {**defaults, "ENVIRONMENT": "development"}


def written(value: Any) -> str:
    """A default as it stands behind the equals sign."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def test_example_has_every_setting_with_its_default_and_a_comment() -> None:
    assert faults_of(EXAMPLE) == []


def test_example_as_it_is_means_the_defaults_in_development(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    file = tmp_path / ".env"
    file.write_text(EXAMPLE, encoding="utf-8")

    read = load_settings(_env_file=file)

    assert read == load_settings(_env_file=None, environment=Environment.DEVELOPMENT)
    assert read.violations() == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("LOG_DIR=logs", "", "LOG_DIR is missing"),
        ("LOG_DIR=logs", "LOG_DIR=log", "LOG_DIR is 'log', its default 'logs'"),
        ("LOG_DIR=logs", "LOG_DIR=logs\nLOG_DIR=logs", "LOG_DIR stands twice"),
        ("LOG_DIR=logs", "LOG_DIR=logs\nLOG_FOLDER=logs", "LOG_FOLDER is no setting"),
        ("REGISTRATION=open", "\nREGISTRATION=open", "REGISTRATION has no comment"),
        ("LOG_DIR=logs", "LOG_DIR=logs\nsurprise", "neither setting nor comment: surprise"),
        ("ENVIRONMENT=development\n", "", "ENVIRONMENT does not come first"),
        ("ENVIRONMENT=development", "ENVIRONMENT=production", "ENVIRONMENT is 'production'"),
    ],
)
def test_planted_fault_in_the_example_is_told(old: str, new: str, told: str) -> None:
    assert old in EXAMPLE

    assert told in "\n".join(faults_of(EXAMPLE.replace(old, new)))
