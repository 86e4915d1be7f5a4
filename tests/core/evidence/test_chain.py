"""Links of a chain without a database: what each check says, and who may sign."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.evidence.chain import Chain
from app.core.evidence.findings import Finding
from app.core.evidence.seals import NO_HASH, Seal
from app.core.evidence.signing import SealKey

OLD, NEW, EVIL = (SealKey(Ed25519PrivateKey.generate()) for _ in range(3))
AT = datetime(2026, 3, 1, tzinfo=UTC)


def link(before: Seal | None, key: SealKey | None, successor: SealKey | None = None, rows: int = 10) -> Seal:
    """What follows a seal."""
    number = before.number + 1 if before else 1
    first = before.last_id + 1 if before else 1
    blank = Seal(
        stream="changes",
        number=number,
        form=1,
        first_id=first,
        last_id=first + rows - 1,
        row_count=rows,
        min_at=AT,
        max_at=AT,
        merkle_root="00" * 32,
        leaves_hash="11" * 32,
        prev_hash=before.seal_hash if before else NO_HASH,
        sealed_at=AT + timedelta(minutes=number),
    )
    return blank.signed(key, successor)


def chained(*keys: SealKey | tuple[SealKey, SealKey] | None) -> list[Seal]:
    """A chain signed by these; a pair hands over."""
    seals: list[Seal] = []
    for key in keys:
        own, successor = key if isinstance(key, tuple) else (key, None)
        seals.append(link(seals[-1] if seals else None, own, successor, rows=0 if successor else 10))
    return seals


def findings(seals: Sequence[Seal], *trusted: SealKey, reaches_head: bool = True) -> list[Finding]:
    chain = Chain(
        "changes",
        trusted=[key.public for key in trusted],
        handovers=[seal for seal in seals if seal.next_public_key],
    )
    for seal in seals:
        chain.follow(seal)
    return chain.finish(reaches_head=reaches_head)


def told(seals: Sequence[Seal], *trusted: SealKey) -> list[str]:
    return [f"{one.kind} {one.seal}: {one.what}" for one in findings(seals, *trusted)]


HANDED_OVER = chained(None, OLD, OLD, (OLD, NEW), NEW, NEW)


@pytest.mark.parametrize("trusted", [(), (OLD,), (NEW,), (OLD, NEW)])
def test_a_chain_that_was_handed_over_is_whole_to_each_key(trusted: tuple[SealKey, ...]) -> None:
    assert told(HANDED_OVER, *trusted) == []


def test_there_and_back_again() -> None:
    seals = chained(OLD, (OLD, NEW), NEW, (NEW, OLD), OLD)
    for trusted in ((), (OLD,), (NEW,)):
        assert told(seals, *trusted) == []


@pytest.mark.parametrize("trusted", [(), (OLD,), (NEW,), (OLD, NEW)])
def test_the_old_key_is_of_no_use_afterwards(trusted: tuple[SealKey, ...]) -> None:
    forged = link(HANDED_OVER[-1], OLD)
    after = link(forged, NEW)
    expected = "bad_signature 7: it is signed by a key that was replaced before"
    assert told([*HANDED_OVER, forged], *trusted) == [expected]
    assert told([*HANDED_OVER, forged, after], *trusted) == [expected]


def test_a_key_that_was_lost() -> None:
    seals = chained(OLD, OLD, NEW, NEW)
    unlinked = "bad_signature 3: it is signed by another key, to which nothing hands over"
    assert told(seals) == [unlinked]
    assert told(seals, OLD)[0] == unlinked
    assert told(seals, OLD)[1].endswith(f"signed by {NEW.id}, which is not trusted")
    assert told(seals, OLD, NEW) == []
    assert told([*seals, link(seals[-1], OLD)], OLD, NEW) == [
        "bad_signature 5: it is signed by a key that was replaced before"
    ]


def test_a_chain_of_somebody_else() -> None:
    (finding,) = findings(chained(EVIL, EVIL), OLD)
    assert (finding.kind, finding.first_id, finding.last_id, finding.seal) == ("bad_signature", 1, 20, 1)
    assert finding.what == f"signed by {EVIL.id}, which is not trusted"
    assert told(chained(EVIL, EVIL)) == []  # nobody said whom to trust


def test_a_handover_that_only_one_of_them_signed() -> None:
    seals = chained(OLD, (OLD, EVIL), EVIL)
    forged = replace(seals[1], next_signature=OLD.sign(seals[1].seal_hash))
    assert "bad_signature 2: its signature does not fit" in told([seals[0], forged, seals[2]], OLD)
    assert any("not trusted" in one for one in told([seals[0], forged, seals[2]], OLD))


def test_a_handover_whose_content_was_changed_links_nothing() -> None:
    """The old key's signature over the hash still fits; what the hash is of does not."""
    seals = chained(OLD, (OLD, NEW), NEW)
    redirected = replace(seals[1], next_public_key=EVIL.public, next_signature=EVIL.sign(seals[1].seal_hash))
    assert redirected.signature_fits()
    after = link(redirected, EVIL)
    chain = Chain("changes", trusted=[OLD.public], handovers=[redirected], before=redirected)
    chain.follow(after)
    assert any("not trusted" in one.what for one in chain.finish())
    in_front = replace(seals[1], number=-1).signed(OLD, EVIL)
    chain = Chain("changes", trusted=[OLD.public], handovers=[in_front], before=seals[0])
    chain.follow(link(seals[0], EVIL))
    assert any("not trusted" in one.what for one in chain.finish())


def test_unsigned_seals() -> None:
    assert told(chained(None, None)) == []
    (finding,) = findings(chained(None, None), OLD)
    assert (finding.what, finding.first_id, finding.last_id) == ("no signed seal covers it", 1, 20)
    assert told(chained(None, OLD), OLD) == []
    assert findings(chained(None, None), OLD, reaches_head=False) == []
    assert told(chained(OLD, None)) == ["bad_signature 2: it is not signed, and seals before it are"]


def test_signatures_that_were_taken_off() -> None:
    signed = chained(OLD, OLD)
    bare = [replace(seal, signature=None) for seal in signed]
    assert len([one for one in told(bare) if "was removed" in one]) == 2
    stripped = [
        replace(seal, public_key=None, key_id=None, signature=None, next_signature=None) for seal in signed
    ]
    assert [one for one in told(stripped) if "the seal was altered" in one]
    assert told(chained(None, None), OLD) == ["bad_signature 1: no signed seal covers it"]


MUTATIONS: dict[str, Callable[[Any], Any]] = {
    "stream": lambda _value: "access",
    "form": lambda value: value + 1,
    **dict.fromkeys(("number", "first_id", "last_id", "row_count"), lambda value: value + 1),
    **dict.fromkeys(("min_at", "max_at", "sealed_at"), lambda value: value + timedelta(microseconds=1)),
    **dict.fromkeys(
        ("merkle_root", "leaves_hash", "prev_hash", "seal_hash", "public_key", "next_public_key", "key_id"),
        lambda value: ("1" if value[0] == "0" else "0") + value[1:],
    ),
    **dict.fromkeys(
        ("signature", "next_signature"), lambda value: value[:-1] + ("1" if value[-1] == "0" else "0")
    ),
}


# What may be any text, or none, in a row.
TEXTS = ("public_key", "next_public_key", "key_id", "signature", "next_signature")


@pytest.mark.parametrize("field", Seal.__slots__)
@pytest.mark.parametrize("trusted", [(), (OLD, NEW)])
def test_every_field_of_every_seal_counts(field: str, trusted: tuple[SealKey, ...]) -> None:
    for place, seal in enumerate(HANDED_OVER):
        value = getattr(seal, field)
        for forged in (MUTATIONS[field](value) if value is not None else "00" * 32, None, "no digits"):
            if forged == value or (forged in (None, "no digits") and field not in TEXTS):
                continue
            seals = [*HANDED_OVER]
            changes: dict[str, Any] = {field: forged}
            seals[place] = replace(seal, **changes)
            assert told(seals, *trusted), (field, place, forged)


@pytest.mark.parametrize("place", range(len(HANDED_OVER) - 1))
def test_a_link_that_is_missing_or_moved(place: int) -> None:
    rest = [*HANDED_OVER[:place], *HANDED_OVER[place + 1 :]]
    missing = [one for one in findings(rest) if one.kind == "missing_seal"]
    assert [one.what for one in missing] == ["1 seals before it are missing"]
    assert (missing[0].first_id, missing[0].seal) == (HANDED_OVER[place].first_id, place + 2)
    swapped = [*HANDED_OVER]
    swapped[place], swapped[place + 1] = swapped[place + 1], swapped[place]
    assert [one for one in findings(swapped) if one.kind == "chain"]


def test_a_walk_may_begin_in_the_middle() -> None:
    chain = Chain("changes", handovers=[], before=HANDED_OVER[2])
    for seal in HANDED_OVER[3:]:
        chain.follow(seal)
    assert chain.finish() == []
    assert (chain.count, chain.is_signed) == (3, True)


def test_seals_to_json_and_back() -> None:
    for seal in HANDED_OVER:
        assert Seal.of(seal.told()) == seal
    told_ = HANDED_OVER[3].told()
    for field in Seal.__slots__:
        wrongs: tuple[Any, ...] = (["x"], {}, 1.5)
        for wrong in wrongs:
            with pytest.raises(ValueError, match="no seal"):
                Seal.of({**told_, field: wrong})
        with pytest.raises(ValueError, match="no seal"):
            Seal.of({name: value for name, value in told_.items() if name != field})


def test_forged_rows_become_seals_that_are_altered() -> None:
    for seal in HANDED_OVER:
        row = [
            getattr(seal, name).strftime("%Y-%m-%d %H:%M:%S.%f")
            if name.endswith("_at")
            else getattr(seal, name)
            for name in Seal.__slots__
        ]
        assert Seal.read(row) == seal
        for place, name in enumerate(Seal.__slots__):
            wrongs: tuple[Any, ...] = (b"\xff", 1.5, "nothing" if isinstance(row[place], int) else 7)
            for wrong in wrongs:
                forged = Seal.read([*row[:place], wrong, *row[place + 1 :]])
                assert forged != seal
                assert name in {"seal_hash", "key_id", "signature", "next_signature"} or (
                    forged.digest() != seal.seal_hash
                ), name
