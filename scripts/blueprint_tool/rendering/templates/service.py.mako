<% rows = "self." + v.table %>\
<% read_one = (rows + ".read(") if not v.links else "self._detail(" %>\
<% shape = ", " + v.name + "Read)" if not v.links else ")" %>\
<% asker = ", caller: Principal" if v.asks_caller else "" %>\
<% owner = ", caller: Principal" if v.owned else "" %>\
<% by_link = ", caller" if any(one.is_target_owned for one in v.links) else "" %>\
<% by_key = ", caller" if any(one.is_target_owned for one in v.references) else "" %>\
<% key_owner = ", caller: Principal" if v.owned else "" %>\
"""Use cases of ${v.many}.${f" Owners may everything with their own but {'purge' if v.soft else 'delete'}; others need the privilege." if v.owned else ""}"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from app.auth.principal import Principal
from app.core.listing import Listing, Where
from app.core.search import first_text_hits
from app.core.transaction import UnitOfWork
% for ref in v.neighbours:
from ${ref.service_module} import ${ref.service}
% endfor
from app.modules.${v.code}.models import ${v.name}
from app.modules.${v.code}.permissions import DELETE, ${"PURGE, " if v.soft else ""}READ, UPDATE
from app.modules.${v.code}.repository import ${v.name}Repository
from app.modules.${v.code}.schemas import ${v.name}Create, ${v.name}Query, ${v.name}Read, ${v.name}Row, ${v.name}Search, ${v.name}Summary, ${v.name}Update, My${v.name}Query

% if v.links:
_LINKS = {${quoted(link.field for link in v.links)}}
% endif


class ${v.name}Service:
    """Every public write is one transaction, or part of the caller's."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Joins whatever transaction is open on this unit of work."""
        self.uow = uow
        ${rows} = ${v.name}Repository(uow)
% for ref in v.neighbours:
        self.${ref.relation.target_table} = ${ref.service}(uow)
% endfor

    async def page(self, query: ${v.name}Query) -> Listing[${v.name}Summary]:
        """A page of ${"everybody's " if v.owned else ""}${v.many}."""
        return await ${rows}.page(query, ${v.name}Summary)
% if v.owned:

    async def page_mine(self, query: My${v.name}Query, caller: Principal) -> Listing[${v.name}Summary]:
        """A page of the caller's own ${v.many}."""
        return await ${rows}.page(query, ${v.name}Summary, ${rows}.owned_by(caller.user_pk))
% endif
% if v.searchable:

    async def search(self, query: ${v.name}Search) -> Listing[${v.name}Summary]:
        """${capital(v.many)} in which each word of the question begins a word; ${v.hits}."""
% if len(v.searchable) > 1:
        return await ${rows}.page(query, ${v.name}Summary, lead=first_text_hits(${v.name}, query.q))
% else:
        return await ${rows}.page(query, ${v.name}Summary)
% endif
% endif

% if v.owned:
    async def read(self, id: UUID, caller: Principal) -> ${v.name}Read:
        """${capital(v.a_one)}. Raises NotFound, also for those that the caller may not see."""
        ${v.single} = await ${read_one}id${shape}
        if ${v.single}.owner_id != caller.user_id and not caller.can(READ):
            raise ${rows}.not_found()
        return ${v.single}
% else:
    async def read(self, id: UUID) -> ${v.name}Read:
        """${capital(v.a_one)}. Raises NotFound."""
% if v.links:
        return await self._detail(id)
% else:
        return await ${rows}.read(id, ${v.name}Read)
% endif
% endif

    async def create(self, data: ${v.name}Create${asker}) -> ${v.name}Read:
        """A new ${v.one}${" of the caller's" if v.owned else ""}.${" Raises " + v.refusals + "." if v.refusals else ""}"""
        async with self.uow.transaction():
<% dumped = "data.model_dump(" + ("exclude=_LINKS" if v.links else "") + ")" %>\
<% given = "await self._columns(" + dumped + by_key + ")" if v.references else dumped %>\
% if v.references:
            columns = ${given}
            row = await ${rows}.add(${v.name}(**columns${", owner_pk=caller.user_pk" if v.owned else ""}))
% else:
            row = await ${rows}.add(${v.name}(**${given}${", owner_pk=caller.user_pk" if v.owned else ""}))
% endif
% if v.links:
            await self._link(row, data${by_link})
% endif
        return await ${read_one}row.id${shape}

    async def update(self, id: UUID, data: ${v.name}Update${asker}) -> ${v.name}Read:
        """Changes ${v.a_one}. Raises NotFound${", Forbidden" if v.owned else ""}, Conflict${", Invalid" if v.references or v.links else ""}."""
        async with self.uow.transaction():
            row = await ${"self._allowed(id, caller, UPDATE)" if v.owned else f"{rows}.get(id)"}
<% dumped = "data.model_dump(exclude_unset=True" + (", exclude=_LINKS" if v.links else "") + ")" %>\
<% given = "await self._columns(" + dumped + by_key + ")" if v.references else dumped %>\
% if v.links or v.references:
% if v.links:
            is_linked = await self._link(row, data${by_link})
% endif
            columns = ${given}
            await ${rows}.update(row, columns${", touched=is_linked" if v.links else ""})
% else:
            await ${rows}.update(row, ${given})
% endif
        return await ${read_one}id${shape}

% if v.owned and v.soft:
    async def delete(self, id: UUID, caller: Principal, *, hard: bool) -> None:
        """Deletes ${v.a_one}; `hard` needs the privilege, for one's own too. Raises NotFound, Forbidden, InUse."""
        async with self.uow.transaction():
            if hard:
                await ${rows}.purge(await self._purgeable(id, caller))
            else:
                await ${rows}.delete(await self._allowed(id, caller, DELETE))
% elif v.soft:
    async def delete(self, id: UUID, *, hard: bool) -> None:
        """Deletes ${v.a_one}; `hard` for good, deleted ones too. Raises NotFound, InUse."""
        async with self.uow.transaction():
            row = await ${rows}.get(id, deleted=None if hard else False)
            await (${rows}.purge(row) if hard else ${rows}.delete(row))
% else:
    async def delete(self, id: UUID) -> None:
        """Removes ${v.a_one} for good. Raises NotFound, InUse."""
        async with self.uow.transaction():
            await ${rows}.purge(await ${rows}.get(id))
% endif
% if v.soft:

    async def restore(self, id: UUID${owner}) -> ${v.name}Read:
        """Brings ${v.a_one} back. Raises NotFound${", Forbidden" if v.owned else ""}, Conflict."""
        async with self.uow.transaction():
% if v.owned:
            await ${rows}.restore(await self._allowed(id, caller, DELETE, deleted=True))
% else:
            await ${rows}.restore(await ${rows}.get(id, deleted=True))
% endif
        return await ${read_one}id${shape}
% endif

    # values for other modules

    async def key_of(self, id: UUID, field: str${key_owner}) -> int:
        """The key of a live ${v.one}${" that the caller may see" if v.owned else ""}, for a reference. Raises Invalid, which names `field`."""
        return await ${rows}.key_of(id, field${", *self._seen_by(caller)" if v.owned else ""})

    async def keys_of(self, ids: Sequence[UUID], field: str${key_owner}) -> list[int]:
        """The same for several. Raises Invalid, which names the entries of `field`."""
        return await ${rows}.keys_of(ids, field${", *self._seen_by(caller)" if v.owned else ""})
% if v.owned:

    def _seen_by(self, caller: Principal) -> tuple[Where, ...]:
        """The condition for what the caller may see; none for who may see everybody's."""
        return () if caller.can(READ) else (${rows}.owned_by(caller.user_pk),)

    async def _allowed(self, id: UUID, caller: Principal, privilege: str${", *, deleted: bool = False" if v.soft else ""}) -> ${v.name}:
        """The ${v.one}, if it is the caller's own or the privilege is held: 404 where it can't be seen, else 403."""
        row = await ${rows}.get(id${", deleted=deleted" if v.soft else ""})
        if row.owner_pk != caller.user_pk and not caller.can(privilege):
            if not caller.can(READ):
                raise ${rows}.not_found()
            caller.require(privilege)
        return row
% if v.soft:

    async def _purgeable(self, id: UUID, caller: Principal) -> ${v.name}:
        """The ${v.one}, live or deleted, for who may purge; that privilege alone is enough, and owners need it too."""
        if not caller.can(PURGE):
            await self.read(id, caller)  # 404 for who may not know of it
            caller.require(PURGE)
        return await ${rows}.get(id, deleted=None)
% endif
% endif
% if v.links:

    async def _detail(self, id: UUID) -> ${v.name}Read:
        """With the ids of what it is linked to. Raises NotFound."""
        row = await ${rows}.read(id, ${v.name}Row)
        return ${v.name}Read(
            **row.model_dump(exclude={"pk"}),
% for link in v.links:
            ${link.field}=await ${rows}.${link.many}.ids(row.pk),
% endfor
        )

    async def _link(self, row: ${v.name}, data: ${v.name}Create | ${v.name}Update${by_link and ", caller: Principal"}) -> bool:
        """Makes the links be those that were sent; returns whether that changed anything. Raises Invalid."""
        is_changed = False
% if v.links_are_many:
        every = (
% for link in v.links:
            ("${link.field}", ${link.many_finder}, ${rows}.${link.many}),
% endfor
        )
        for field, keys_of, links in every:
            if field in data.model_fields_set:
                is_changed |= await links.replace(row, await keys_of(getattr(data, field), field))
% else:
% for link in v.links:
        if "${link.field}" in data.model_fields_set:
            keys = await ${link.keys("data." + link.field)}
            is_changed |= await ${rows}.${link.many}.replace(row, keys)
% endfor
% endif
        return is_changed
% endif
% if v.references:

    async def _columns(self, fields: dict[str, Any]${by_key and ", caller: Principal"}) -> dict[str, Any]:
        """What was sent, with keys in the place of public ids. Raises Invalid for what is not there."""
% if v.references_are_many:
        every = (
% for ref in v.references:
            ("${ref.name}", ${ref.one_finder}),
% endfor
        )
        for name, key_of in every:
            if f"{name}_id" in fields:
                id = fields.pop(f"{name}_id")
                fields[f"{name}_pk"] = None if id is None else await key_of(id, f"{name}_id")
% else:
% for ref in v.references:
        if "${ref.field}" in fields:
            id = fields.pop("${ref.field}")
% if ref.is_nullable:
            fields["${ref.name}_pk"] = None if id is None else await ${ref.key("id")}
% else:
            fields["${ref.name}_pk"] = await ${ref.key("id")}
% endif
% endfor
% endif
        return fields
% endif
