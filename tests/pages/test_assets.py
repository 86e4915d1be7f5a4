"""The vendored files are those of npm, with their licences."""

from hashlib import sha256

import pytest

from app.pages.documents import STATIC, asset

# Of the npm packages swagger-ui-dist 5.35.0 and redoc 2.5.4.
VENDORED = {
    "swagger-ui-5.35.0.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-5.35.0.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
    "redoc-2.5.4.js": "dcaf76612bc4a3fbcc923a8966dee2f6146a5f32e5ce1b6f02dd60cbbf89500b",
}


@pytest.mark.parametrize("name", VENDORED)
def test_vendored_file_is_the_published_one(name: str) -> None:
    assert sha256((STATIC / name).read_bytes()).hexdigest() == VENDORED[name]


@pytest.mark.parametrize(
    ("name", "words"), [("swagger-ui-5.35.0", "Apache License"), ("redoc-2.5.4", "The MIT License")]
)
def test_vendored_file_has_its_licence(name: str, words: str) -> None:
    assert words in (STATIC / f"{name}.LICENSE").read_text(encoding="utf-8")
    assert (STATIC / f"{name}.THIRD-PARTY").read_text(encoding="utf-8")


def test_edit_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="has changed"):
        asset("tessera.css", edits=[(b"no such text", b"")])
