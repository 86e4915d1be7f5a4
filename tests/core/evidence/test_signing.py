"""Keys: what a file must be like, and what fits."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from app.core.evidence.signing import (
    KeyFault,
    SealKey,
    is_signed,
    key_id,
    load_key,
    load_public_keys,
    make_key,
)

DIGEST = "ab" * 32


def written(path: Path, text: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


def test_a_key_is_made_kept_private_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "seal.pem"
    public_path = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = load_key(path)
    assert load_public_keys([public_path]) == {key.public}
    assert key.id == key_id(key.public)
    assert is_signed(key.public, DIGEST, key.sign(DIGEST))


def test_no_key_is_overwritten_and_none_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "seal.pem"
    make_key(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        make_key(path)
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(FileExistsError):  # the public half of another one
        make_key(path)
    assert not path.exists()


def test_several_public_keys_in_a_file(tmp_path: Path) -> None:
    paths = [make_key(tmp_path / name) for name in ("a.pem", "b.pem")]
    both = written(tmp_path / "both.pub", b"# ours\n" + b"".join(path.read_bytes() for path in paths))
    assert load_public_keys([both]) == load_public_keys(paths)
    assert len(load_public_keys(paths)) == 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_reach(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "seal.pem"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(KeyFault, match=f"chmod 600 {path}"):
        load_key(path)


def test_files_that_hold_no_such_key(tmp_path: Path) -> None:
    ours, other = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
    locked = ours.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    foreign = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    broken = b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    for name, text, told in (
        ("text", b"no key", "no unencrypted private key"),
        ("locked", locked, "no unencrypted private key"),
        ("foreign", foreign, "must be Ed25519"),
    ):
        with pytest.raises(KeyFault, match=told):
            load_key(written(tmp_path / name, text))
    for name, text, told in (
        ("empty.pub", b"", "holds no public key"),
        ("foreign.pub", public, "must be Ed25519"),
        ("broken.pub", broken, "no public key in PEM"),
    ):
        with pytest.raises(KeyFault, match=told):
            load_public_keys([written(tmp_path / name, text)])
    for load in (load_key, lambda path: load_public_keys([path])):
        with pytest.raises(KeyFault, match="can't be read"):
            load(tmp_path / "missing")


def test_what_does_not_fit_and_what_is_nothing_of_the_kind() -> None:
    key, other = (SealKey(Ed25519PrivateKey.generate()) for _ in range(2))
    signature = key.sign(DIGEST)
    assert not is_signed(other.public, DIGEST, signature)
    assert not is_signed(key.public, "cd" * 32, signature)
    for public, digest, wrong in (
        (key.public, DIGEST, signature.upper()),
        (key.public, DIGEST, f"{signature} "),
        (key.public, DIGEST, ""),
        (key.public, DIGEST, "zz"),
        (key.public, "no digits", signature),
        (key.public[:-2], DIGEST, signature),
        ("", DIGEST, signature),
    ):
        assert not is_signed(public, digest, wrong)
