"""Tables of the roles and of their links."""

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from app.core.entity import Entity, Key, live_index
from app.core.faults import taken

IS_SUPERUSER = text("is_superuser")


class Role(Entity, table=True):
    """A role. `is_superuser` is true for exactly one; `is_system` for those that are seeded."""

    __tablename__ = "roles"
    __table_args__ = (
        live_index(
            "uq_roles_name_live",
            "name",
            unique=True,
            info=taken("name", "A role with this name exists already."),
        ),
        Index(
            "uq_roles_superuser",
            "is_superuser",
            unique=True,
            sqlite_where=IS_SUPERUSER,
            postgresql_where=IS_SUPERUSER,
        ),
    )

    name: str = Field(max_length=100)
    description: str = Field(default="", max_length=500)
    is_superuser: bool = False
    is_system: bool = False


class RolePrivilege(SQLModel, table=True):
    """A privilege that a role holds."""

    __tablename__ = "role_privileges"

    role_pk: int = Field(primary_key=True, foreign_key="roles.pk", ondelete="CASCADE", sa_type=Key)
    privilege_pk: int = Field(
        primary_key=True, foreign_key="privileges.pk", ondelete="CASCADE", index=True, sa_type=Key
    )


class RoleModule(SQLModel, table=True):
    """A module assigned to a role: grants the module's read."""

    __tablename__ = "role_modules"

    role_pk: int = Field(primary_key=True, foreign_key="roles.pk", ondelete="CASCADE", sa_type=Key)
    module: str = Field(primary_key=True, max_length=63)


class UserRole(SQLModel, table=True):
    """A role that a user holds."""

    __tablename__ = "user_roles"

    user_pk: int = Field(primary_key=True, foreign_key="users.pk", ondelete="CASCADE", sa_type=Key)
    role_pk: int = Field(
        primary_key=True, foreign_key="roles.pk", ondelete="RESTRICT", index=True, sa_type=Key
    )
