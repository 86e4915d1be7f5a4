"""Tables of the privileges."""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from app.core.audit.policy import not_audited
from app.core.entity import Entity, Key, live_index
from app.core.faults import taken


class Privilege(Entity, table=True):
    """One thing that may be allowed. `is_system`: declared by a module, and so not to be changed by hand."""

    __tablename__ = "privileges"
    __table_args__ = (
        live_index(
            "uq_privileges_code_live",
            "code",
            unique=True,
            info=taken("code", "A privilege with this code exists already."),
        ),
    )

    code: str = Field(max_length=127)
    module: str = Field(max_length=63, index=True)
    action: str = Field(max_length=63)
    description: str = Field(default="", max_length=500)
    is_system: bool = False


class RbacEpoch(SQLModel, table=True):
    """One row with a random stamp, renewed whenever what roles grant changes.

    Random and not counted: a stamp never comes back, not even after the database was restored from a backup,
    so that cached rights filed under it can't be mistaken for others.
    """

    __tablename__ = "rbac_epoch"
    __table_args__ = not_audited("A stamp that puts cached rights out of reach.")

    pk: int = Field(primary_key=True, sa_type=Key)
    value: int = Field(sa_type=BigInteger)
