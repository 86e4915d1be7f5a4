"""Settings of the seals: a start with a bad one is refused, with a line that names it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.composition import seal_rules
from app.core.config import ROOT, RefusedStart, load_settings
from app.core.evidence.anchors import FileAnchor, StreamAnchor
from app.core.evidence.signing import load_key, make_key
from app.main import create_app
from tests.conftest import settings_for
from tests.program import Program, copy_project


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("AUDIT_SEAL_SECONDS", value) for value in ("0", "3601", "-1", "often", "1.5")),
        *(("AUDIT_ANCHOR_EVERY", value) for value in ("0", "100001", "x")),
        *(
            ("AUDIT_ANCHOR_URI", value)
            for value in ("ftp://host/x", "https://host/x", "mailto:a@example.com")
        ),
        ("AUDIT_HOLD_TWO_PEOPLE", "perhaps"),
    ],
)
def test_values_that_are_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(RefusedStart) as refused:
        load_settings(_env_file=None)
    (line,) = str(refused.value).splitlines()
    assert name in line


def missing(_path: Path) -> str:
    return "can't be read"


def open_to_others(path: Path) -> str:
    make_key(path)
    path.chmod(0o644)
    return f"chmod 600 {path}"


def of_another_kind(path: Path) -> str:
    private = generate_private_key(65537, 2048)
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return "must be Ed25519"


def no_key(path: Path) -> str:
    path.write_text("secret words")
    path.chmod(0o600)
    return "no unencrypted private key"


@pytest.mark.parametrize("write", [missing, open_to_others, of_another_kind, no_key])
def test_keys_that_cannot_be_used(tmp_path: Path, write: Callable[[Path], str]) -> None:
    path = tmp_path / "seal.pem"
    told = write(path)
    settings = settings_for("sqlite+aiosqlite:///none.db", "", audit_seal_key_file=path)
    with pytest.raises(RefusedStart) as refused:
        create_app(settings)
    (line,) = str(refused.value).splitlines()
    assert line.startswith("AUDIT_SEAL_KEY_FILE: ")
    assert told in line
    assert "secret words" not in line


def test_what_the_settings_become(tmp_path: Path) -> None:
    make_key(tmp_path / "seal.pem")
    url = "sqlite+aiosqlite:///none.db"
    given = {"audit_seal_seconds": 7, "audit_anchor_every": 5, "audit_anchor_uri": str(tmp_path / "anchor")}
    rules = seal_rules(settings_for(url, "", audit_seal_key_file=tmp_path / "seal.pem", **given))
    assert (rules.seconds, rules.anchor_every) == (7.0, 5)
    assert rules.key is not None
    assert rules.key.public == load_key(tmp_path / "seal.pem").public
    assert isinstance(rules.anchor, FileAnchor)
    bare = seal_rules(settings_for(url, ""))
    assert (bare.key, bare.anchor, bare.seconds, bare.anchor_every) == (None, None, 60.0, 1)
    assert isinstance(seal_rules(settings_for(url, "", audit_anchor_uri="stdout:")).anchor, StreamAnchor)
    relative = settings_for(
        url, "", audit_anchor_uri="data/anchor.jsonl", audit_seal_key_file="keys/seal.pem"
    )
    assert relative.anchor_uri == str(ROOT / "data" / "anchor.jsonl")
    assert relative.seal_key_path == ROOT / "keys" / "seal.pem"
    with pytest.raises(RefusedStart, match="AUDIT_ANCHOR_URI: "):
        seal_rules(settings_for(url, "", audit_anchor_uri="file://elsewhere/anchor"))


def test_the_program_ends_with_78(tmp_path: Path) -> None:
    program = Program(copy_project(tmp_path / "p"), {"ENVIRONMENT": "test"})
    done = program.but(AUDIT_SEAL_KEY_FILE="keys/none.pem").run("serve", "--port", "0")
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert line.startswith("refused to start: AUDIT_SEAL_KEY_FILE")
