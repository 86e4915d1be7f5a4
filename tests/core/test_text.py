import pytest
from pydantic import TypeAdapter, ValidationError

from app.core.text import Name, PersonName

NAMES: TypeAdapter[str] = TypeAdapter(Name)
PERSONS: TypeAdapter[str] = TypeAdapter(PersonName)


@pytest.mark.parametrize("joiner", ["\u200c", "\u200d"])
def test_joiners_belong_to_people_and_not_to_roles(joiner: str) -> None:
    written = f"علی{joiner}رضا"
    assert PERSONS.validate_python(written) == written
    with pytest.raises(ValidationError, match="invisible"):
        NAMES.validate_python(written)


@pytest.mark.parametrize("hidden", ["\u202e", "\u200b", "\x00", "\x07", "\ufeff", "\u2028"])
def test_hidden_characters_belong_to_nobody(hidden: str) -> None:
    for kind in (NAMES, PERSONS):
        assert kind.validate_python("Ada") == "Ada"
        with pytest.raises(ValidationError, match="invisible"):
            kind.validate_python(f"A{hidden}da")
