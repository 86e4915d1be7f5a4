"""Items of the demo's people: a few have many, many have a few."""

from datetime import datetime
from random import Random
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from app.core.clock import now
from app.modules.items.models import Item
from seeds.field import Field, Progress, Seed, instants, words
from seeds.users import living

DELETED, UNDESCRIBED, CHANGED, PLACED = 0.03, 0.2, 0.3, 0.3
_CHUNK = 1000
_QUALITY = words(
    "annual blue broken calm careful cold complete daily draft early electric empty final first folded fragile golden "
    "green heavy hidden internal late light local lost major minor missing modern monthly narrow new old open paper "
    "patient plain portable private public quarterly quick quiet red regional remote revised round rough shared short "
    "silver simple small spare square stable steep strong temporary urgent weekly white wide wooden"
)
_THING = words(
    "agenda archive atlas audit badge ballot bench blueprint bridge brochure budget calendar camera catalogue ceiling "
    "chart checklist clock compass contract corridor crate curtain dashboard delivery desk diagram directory drawer "
    "engine envelope estimate fence filter forecast frame garden gate glossary guide harbour headline hinge index "
    "inventory invoice kettle keyboard label ladder lamp ledger letter library licence lantern manual map meeting "
    "memo mirror model mosaic notebook notice orchard order outline panel parcel pattern permit picture plan pump "
    "questionnaire quote receipt record report roof roster route sample schedule script shelf signal sketch staircase "
    "statement station survey switch table template ticket tile timetable tower tracker treaty valve vault voucher "
    "wagon warehouse workshop"
)
_PLACE = words(
    "Antwerp Bergen Cork Dakar Essen Faro Ghent Haifa Izmir Jaipur Kyoto Lima Malmö Nantes Oslo Porto Turin"
)
_SENTENCES = (
    "Needs a second look before the end of the week.",
    "The original is kept in the archive; this is a working copy.",
    "Replaces the one from last year.",
    "Agreed with the people on site.",
    "Measurements are in millimetres.",
    "Waiting for an answer from the supplier.",
    "Do not print: the numbers change every day.",
    "Colours as in the catalogue, delivery in two parts.",
    "Whoever finds the missing page, please add it.",
    "Checked and found complete.",
)


async def sow(field: Field, count: int, progress: Progress) -> int:
    """Makes as many as are missing; those that were soft-deleted since count as there."""
    random, uow = field.random("items"), field.unit_of_work()
    async with uow.transaction():
        owners = await living(uow)
        keys = [pk for pk, _, _ in owners]
        counted = select(func.count()).select_from(Item).where(col(Item.owner_pk).in_(keys))
        missing = count - int((await uow.session.exec(counted)).one()) if owners else 0
        progress.advance(count - max(missing, 0))
        made = [_item(random, owners, moment) for moment in instants(random, max(missing, 0))]
        for start in range(0, len(made), _CHUNK):
            chunk = made[start : start + _CHUNK]
            uow.session.add_all(chunk)
            await uow.session.flush()
            progress.advance(len(chunk))
    return len(made)


def _item(random: Random, owners: list[tuple[int, UUID, datetime]], made_at: datetime) -> Item:
    pk, id, entered_at = owners[int(len(owners) * random.random() ** 2)]
    made_at = max(made_at, entered_at)
    changed_at = made_at + (now() - made_at) * random.random()
    is_changed, is_deleted = random.random() < CHANGED, random.random() < DELETED
    return Item(
        title=_title(random),
        description=_description(random),
        owner_pk=pk,
        created_at=made_at,
        created_by=id,
        updated_at=changed_at if is_changed or is_deleted else made_at,
        updated_by=id,
        deleted_at=changed_at if is_deleted else None,
        deleted_by=id if is_deleted else None,
    )


def _title(random: Random) -> str:
    title = f"{random.choice(_QUALITY)} {random.choice(_THING)}".capitalize()
    return f"{title} for {random.choice(_PLACE)}" if random.random() < PLACED else title


def _description(random: Random) -> str | None:
    sentences = random.sample(_SENTENCES, random.randint(1, 3))
    return None if random.random() < UNDESCRIBED else " ".join(sentences)


SEED = Seed("items", sow, count=10_000, after=("users",))
