"""Users by their public ids alone, without what the account's own use cases need."""

from app.core.repository import BaseRepository
from app.modules.users.models import User


class UserKeyRepository(BaseRepository[User]):
    """Users by id; everything it needs is inherited."""

    model = User
