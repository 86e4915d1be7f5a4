"""Contract 4 and 8: what seeded roles get, and that nothing changed by hand comes back."""

from typing import Any
from uuid import UUID

from app.core.context import acting_as
from app.core.module import Catalog, Module, Privilege
from app.core.routing import ModuleRouter
from app.core.transaction import UnitOfWork
from app.modules.roles.service_seeding import RoleSeeding
from app.registry import discover
from tests.api import Api, Caller, assert_problem
from tests.backend import RunningApp


def probe(*actions: str, name: str = "probe", **fields: Any) -> Module:
    privileges = tuple(Privilege(f"{name}:{action}", f"{action} it.") for action in actions)
    return Module(name=name, router=ModuleRouter(f"/{name}", tags=[name]), privileges=privileges, **fields)


async def synchronise(app: RunningApp, *probes: Module, retire: bool = True) -> RoleSeeding:
    catalog = Catalog((*discover().modules, *probes))
    seeding = RoleSeeding(UnitOfWork(app.platform.database), catalog)
    with acting_as("system", origin="cli"):
        await seeding.synchronise(retire=retire)
    return seeding


async def role(caller: Caller, name: str) -> dict[str, Any]:
    roles = (await caller.get("roles")).json()["items"]
    id = next(role["id"] for role in roles if role["name"] == name)
    found: dict[str, Any] = (await caller.get(f"roles/{id}")).json()
    return found


async def own(caller: Caller, name: str, prefix: str = "probe:") -> list[str]:
    return [code for code in (await role(caller, name))["privileges"] if code.startswith(prefix)]


async def test_seeded_roles(api: Api) -> None:
    admin = await api.superuser()
    catalog = discover()
    privileges = (await role(admin, "admin"))["privileges"]
    wanted = {
        code
        for module in catalog.modules
        if not module.restricted
        for code in (p.code for p in module.privileges)
        if not code.endswith(":purge")
    }
    assert set(privileges) == wanted
    superuser = await role(admin, "superuser")
    assert (superuser["is_superuser"], superuser["privileges"]) == (True, [])
    assert set(superuser["effective"]) == set(catalog.privileges)
    for name in ("admin", "auditor", "regular"):
        assert (await role(admin, name))["is_superuser"] is False
    assert all(code.startswith("audit:") for code in (await role(admin, "auditor"))["effective"])


async def test_new_privileges_reach_the_seeded_roles(api: Api, app: RunningApp) -> None:
    admin, boss = await api.superuser(), await api.user(role="admin")
    grants = {"regular": ("probe:create",)}
    await synchronise(app, probe("read", "create", "purge", grants=grants, assigned_to=("regular",)))
    assert await own(admin, "admin") == ["probe:create", "probe:read"]
    assert await own(admin, "regular") == ["probe:create"]
    assert await own(admin, "auditor") == []
    assert "probe:read" in (await boss.get("auth/me")).json()["privileges"]
    listed = (await admin.get("privileges?module=probe")).json()["items"]
    assert [(p["code"], p["is_system"], p["description"]) for p in listed] == [
        ("probe:create", True, "create it."),
        ("probe:purge", True, "purge it."),
        ("probe:read", True, "read it."),
    ]


async def test_restricted_module_is_granted_by_privilege_only(api: Api, app: RunningApp) -> None:
    admin = await api.superuser()
    seeding = await synchronise(
        app, probe("read", "verify", restricted=True, grants={"auditor": ("probe:read",)})
    )
    assert await own(admin, "admin") == []
    assert await own(admin, "auditor") == ["probe:read"]
    assert "probe" not in seeding.catalog.assignable
    assert "users" in seeding.catalog.assignable
    id = (await role(admin, "regular"))["id"]
    assert_problem(await admin.put(f"roles/{id}/modules", {"modules": ["probe"]}), 422)
    assert (await admin.put(f"roles/{id}/privileges", {"codes": ["probe:read"]})).status_code == 200


async def test_nothing_taken_by_hand_comes_back(api: Api, app: RunningApp) -> None:
    admin = await api.superuser()
    module = probe("read", "create", grants={"regular": ("probe:create",)}, assigned_to=("regular",))
    await synchronise(app, module)
    for name in ("admin", "regular"):
        path = f"roles/{(await role(admin, name))['id']}"
        await admin.put(f"{path}/privileges", {"codes": []})
        await admin.put(f"{path}/modules", {"modules": []})
        await admin.patch(path, {"description": "Ours"})
    seeding = await synchronise(app, module)
    with acting_as("system", origin="cli"):
        assert await seeding.seed() == []
    for name in ("admin", "regular"):
        found = await role(admin, name)
        assert (found["privileges"], found["modules"], found["description"]) == ([], [], "Ours")
    await synchronise(app, probe("read", "create", "export", grants={"regular": ("probe:create",)}))
    assert await own(admin, "admin") == ["probe:export"]  # only what is new
    assert await own(admin, "regular") == []


async def test_retired_privilege_comes_back_to_its_roles(api: Api, app: RunningApp) -> None:
    admin = await api.superuser()
    await synchronise(app, probe("read", "create"))
    made = await admin.post("roles", {"name": "Holders", "privileges": ["probe:create"]})
    user = await api.user()
    await admin.put(f"users/{user.id}/roles", {"role_ids": [made.json()["id"]]})
    assert (await user.get("auth/me")).json()["privileges"] == ["probe:create"]
    await synchronise(app, retire=False)  # a starting server retires nothing
    assert (await user.get("auth/me")).json()["privileges"] == ["probe:create"]
    await synchronise(app)
    assert (await user.get("auth/me")).json()["privileges"] == []
    assert_problem(await admin.get("privileges/probe:create"), 404)
    assert_problem(await admin.post("privileges/probe:create/restore"), 409, "conflict")
    await synchronise(app, probe("read", "create"))
    assert (await user.get("auth/me")).json()["privileges"] == ["probe:create"]
    assert await own(admin, "admin") == ["probe:create", "probe:read"]


async def test_description_follows_the_code(api: Api, app: RunningApp) -> None:
    admin = await api.superuser()
    await synchronise(app, probe("read"))
    before = (await admin.get("privileges/probe:read")).json()
    await synchronise(app, probe("read"))
    assert (await admin.get("privileges/probe:read")).json() == before
    module = probe("read")
    changed = (Privilege("probe:read", "Sees it."),)
    await synchronise(app, Module(name="probe", router=module.router, privileges=changed), retire=False)
    after = (await admin.get("privileges/probe:read")).json()
    assert (after["description"], after["version"]) == ("Sees it.", before["version"] + 1)


async def test_declared_code_takes_over_the_teams_own(api: Api, app: RunningApp) -> None:
    admin = await api.superuser()
    own_one = (await admin.post("privileges", {"code": "probe:read"})).json()
    await synchronise(app, probe("read"))
    taken = (await admin.get("privileges/probe:read")).json()
    assert (taken["id"], taken["is_system"]) == (own_one["id"], True)


async def test_retired_and_own_with_one_code_live_side_by_side(api: Api, app: RunningApp) -> None:
    """The live one is declared again; the retired one stays where it is, whichever is the older."""
    admin = await api.superuser()
    mine = (await admin.post("privileges", {"code": "probe:read"})).json()
    await admin.delete("privileges/probe:read")
    await synchronise(app, probe("read"))
    await synchronise(app)  # retired; newer than the team's own deleted one
    uow = UnitOfWork(app.platform.database)
    seeding = RoleSeeding(uow, discover())
    with acting_as("test", origin="job"):
        async with uow.transaction():
            privileges = seeding.privileges.privileges
            await privileges.restore(await privileges.get(UUID(mine["id"]), deleted=True))
    await synchronise(app, probe("read"))
    assert (await admin.get("privileges/probe:read")).json()["id"] == mine["id"]


async def test_module_that_is_gone_grants_nothing(api: Api, app: RunningApp) -> None:
    admin = await api.superuser()
    await synchronise(app, probe("read", assigned_to=("regular",)))
    user = await api.user(role="regular")
    found = await role(admin, "regular")  # the app itself does not know the probe
    assert "probe" not in found["modules"]
    assert "probe:read" not in found["effective"]
    assert "probe:read" not in (await user.get("auth/me")).json()["privileges"]


async def test_seeding_twice_makes_nothing(app: RunningApp) -> None:
    seeding = await synchronise(app)
    with acting_as("system", origin="cli"):
        assert await seeding.seed() == []
    assert await seeding.privileges.in_line(seeding.catalog, retire=True)
