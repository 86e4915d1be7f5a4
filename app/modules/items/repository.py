"""Queries about items."""

from sqlalchemy import BigInteger, bindparam
from sqlmodel import col

from app.core.listing import Where
from app.core.repository import BaseRepository
from app.modules.items.models import Item
from app.modules.items.schemas import ItemSummary


class ItemRepository(BaseRepository[Item]):
    """Items, also by owner."""

    model = Item
    summaries = (ItemSummary,)

    def owned_by(self, user_pk: int) -> Where:
        """The condition for one owner."""
        owner = bindparam("owner_pk", type_=BigInteger)
        return Where("owner_pk", lambda: col(Item.owner_pk) == owner, {"owner_pk": user_pk})
