<% path = v.path[1:] %>\
<% full = "await body(api)" if s.needed else "FIRST" %>\
<% owner = "owner" if s.owners_differ else "caller" %>\
from typing import Any
from uuid import uuid4

import pytest

from tests.api import Api, Caller, assert_problem
% if s.open_words:
from tests.canaries import CANARIES
% endif

ALL = (${quoted(s.actions)})
SUMMARY = ${s.summary}
DETAIL = SUMMARY | ${s.detail_more}
FIRST: dict[str, Any] = ${s.row(0)}
SECOND: dict[str, Any] = ${s.row(1)}
THIRD: dict[str, Any] = ${s.row(2)}
ROWS = (FIRST, SECOND, THIRD)


% if s.open_words:
@pytest.fixture(autouse=True)
def _no_secrets() -> None:
    """They are only called like some."""
    for word in (${s.open_words}):
        CANARIES.say(word)


% endif
@pytest.fixture
async def keeper(api: Api) -> Caller:
    return await api.user(*ALL)
% for maker in s.makers:


async def ${maker.name}(api: Api${", turn: int" if maker.is_numbered else ""}) -> str:
    admin = await api.superuser()
% if maker.keys:
    sent: dict[str, Any] = ${mapping(maker.fields)}
    answer = await admin.post("${maker.path}", sent)
    if answer.status_code == 409:  # it was made before
        rows = (await admin.get("${maker.path}")).json()["items"]
        return next(str(row["id"]) for row in rows if ${" and ".join(f'row["{key}"] == sent["{key}"]' for key in maker.keys)})
% else:
    answer = await admin.post("${maker.path}", ${mapping(maker.fields)})
% endif
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
% endfor
% if s.needed:


async def body(api: Api, turn: int = 0, **fields: Any) -> dict[str, Any]:
    needed = ${mapping(s.needed)}
    return {**ROWS[turn], **needed, **fields}
% endif


async def make(caller: Caller, turn: int = 0, **fields: Any) -> dict[str, Any]:
% if s.owners_differ:
    owner = await caller.api.user(*ALL) if turn else caller  # nobody may have three of them
% endif
    answer = await ${owner}.post("${path}", ${"await body(caller.api, turn, **fields)" if s.needed else "{**ROWS[turn], **fields}"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["items"]]


async def test_create_and_read_one(api: Api, keeper: Caller) -> None:
    sent = ${full}
    answer = await keeper.post("${path}", sent)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"] == f"/api/v1/${path}/{made['id']}"
    assert set(made) == DETAIL
    assert {name: made[name] for name in ${f"sent.keys() - {s.secrets}" if s.secrets else "sent"}} == ${"{name: value for name, value in sent.items() if name in DETAIL}" if s.secrets else "sent"}
    assert made["version"] == 1
    assert made["created_at"].endswith("Z")
    assert made["${"owner_id" if v.owned else "created_by"}"] == keeper.id
    read = await keeper.get(f"${path}/{made['id']}")
    assert (read.status_code, read.json()) == (200, made)
% if s.defaults:


async def test_what_is_left_out_has_its_default(api: Api, keeper: Caller) -> None:
    least: dict[str, Any] = ${s.least}
% if s.needed:
    least |= {name: value for name, value in (await body(api)).items() if name not in FIRST}
% endif
    answer = await keeper.post("${path}", least)
    assert answer.status_code == 201, answer.text
    defaults: dict[str, Any] = ${s.defaults}
    assert {name: answer.json()[name] for name in defaults} == defaults
% endif
% if s.required or s.needed:


@pytest.mark.parametrize("field", [${quoted(one.name for one in s.required)}${quoted(s.needed)}])
async def test_what_is_required_is_asked_for(api: Api, keeper: Caller, field: str) -> None:
    sent = {name: value for name, value in (${full}).items() if name != field}
    problem = assert_problem(await keeper.post("${path}", sent), 422, "validation_error")
    assert [error["loc"] for error in problem["errors"]] == [["body", field]]
% endif


@pytest.mark.parametrize(
    ("change", "field"),
    [
% for change, field in s.wrong:
        (${change}, "${field}"),
% endfor
    ],
)
async def test_body_at_fault_is_422(api: Api, keeper: Caller, change: dict[str, Any], field: str) -> None:
    made = await make(keeper)
    for answer in (
        await keeper.post("${path}", {**${"(" + full + ")" if s.needed else "FIRST"}, **change}),
        await keeper.patch(f"${path}/{made['id']}", change),
    ):
        problem = assert_problem(answer, 422, "validation_error")
        assert ["body", field] in [error["loc"][:2] for error in problem["errors"]]
    assert ids(await keeper.get("${path}")) == [made["id"]]
% if s.changing:


async def test_patch_changes_what_is_sent(keeper: Caller) -> None:
    made = await make(keeper)
    answer = await keeper.patch(f"${path}/{made['id']}", {"${s.changing}": SECOND["${s.changing}"]})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed["updated_at"] > made["updated_at"]
    expected = {"${s.changing}": SECOND["${s.changing}"], "version": 2, "updated_at": changed["updated_at"]}
    assert changed == {**made, **expected}
% endif
% if s.nullable:


@pytest.mark.parametrize("field", [${quoted(s.nullable)}])
async def test_field_is_emptied(keeper: Caller, field: str) -> None:
    made = await make(keeper)
    emptied = await keeper.patch(f"${path}/{made['id']}", {field: None})
    assert emptied.status_code == 200, emptied.text
    assert (emptied.json()[field], emptied.json()["version"]) == (None, 2)
    assert (await make(keeper, 1, **{field: None}))[field] is None
% endif


@pytest.mark.parametrize("change", [{}, FIRST])
async def test_patch_that_changes_nothing_leaves_version(keeper: Caller, change: dict[str, Any]) -> None:
    made = await make(keeper)
    answer = await keeper.patch(f"${path}/{made['id']}", change)
    assert (answer.status_code, answer.json()) == (200, made)


async def test_life_of_${v.a_one.replace(" ", "_")}(keeper: Caller) -> None:
    made = await make(keeper)
    path = f"${path}/{made['id']}"
    deleted = await keeper.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for answer in (await keeper.get(path), await keeper.patch(path, {}), await keeper.delete(path)):
        assert_problem(answer, 404, "not_found")
    assert ids(await keeper.get("${path}")) == []
% if v.soft:
    assert ids(await keeper.get("${path}?deleted=true")) == [made["id"]]
    restored = await keeper.post(f"{path}/restore")
    assert restored.status_code == 200
    assert set(restored.json()) == DETAIL
    assert ids(await keeper.get("${path}")) == [made["id"]]
    assert ids(await keeper.get("${path}?deleted=true")) == []
    assert_problem(await keeper.post(f"{path}/restore"), 404)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_purge_alone_is_enough_for_hard(api: Api, keeper: Caller, *, is_deleted: bool) -> None:
    purger = await api.user("${v.code}:purge")
    made = await make(keeper)
    if is_deleted:
        await keeper.delete(f"${path}/{made['id']}")
    gone = await purger.delete(f"${path}/{made['id']}?hard=true")
    assert (gone.status_code, gone.content) == (204, b"")
    assert_problem(await keeper.post(f"${path}/{made['id']}/restore"), 404)
    assert_problem(await purger.delete(f"${path}/{made['id']}?hard=true"), 404)
% else:
    assert_problem(await keeper.post(f"{path}/restore"), 404)
% endif


CALLS: dict[str, tuple[str, str, Any]] = {
    "list": ("GET", "${path}", None),
% if v.soft:
    "deleted": ("GET", "${path}?deleted=true", None),
% endif
% if v.searchable:
    "search": ("GET", "${path}/search?q=x", None),
% endif
    "create": ("POST", "${path}", FIRST),
    "read": ("GET", "${path}/{id}", None),
    "update": ("PATCH", "${path}/{id}", {}),
    "delete": ("DELETE", "${path}/{id}", None),
% if v.soft:
    "restore": ("POST", "${path}/{id}/restore", None),
    "purge": ("DELETE", "${path}/{id}?hard=true", None),
% endif
}


async def ask(caller: Api | Caller, operation: str, id: str) -> Any:
    method, path, sent = CALLS[operation]
    return await caller.call(method, path.format(id=id), json=sent)


NEEDED = {
    "list": "${v.code}:read",
% if v.searchable:
    "search": "${v.code}:read",
% endif
    "create": "${v.code}:create",
% if not v.owned:
    "read": "${v.code}:read",
    "update": "${v.code}:update",
% endif
% if not v.owned or not v.soft:
    "delete": "${v.code}:delete",
% endif
% if v.soft:
    "deleted": "${v.code}:delete",
% if not v.owned:
    "restore": "${v.code}:delete",
    "purge": "${v.code}:purge",
% endif
% endif
}


@pytest.mark.parametrize("operation", NEEDED)
async def test_calls_need_a_caller_and_a_privilege(api: Api, keeper: Caller, operation: str) -> None:
    made = await make(keeper)
    without = await api.user(*(set(ALL) - {NEEDED[operation]}))
    assert_problem(await ask(api, operation, made["id"]), 401, "unauthenticated")
    refused = assert_problem(await ask(without, operation, made["id"]), 403, "forbidden")
    assert refused["required"] == NEEDED[operation]
    assert (await keeper.get(f"${path}/{made['id']}")).json() == made
% if v.owned:


# What a stranger with these privileges gets: read, update, delete${", restore, purge" if v.soft else ""}.
<% c = v.code %>\
MATRIX = {
% if v.soft:
    (): (404, 404, 404, 404, 404),
    ("${c}:create",): (404, 404, 404, 404, 404),
    ("${c}:read",): (200, 403, 403, 403, 403),
    ("${c}:read", "${c}:update"): (200, 200, 403, 403, 403),
    ("${c}:read", "${c}:delete"): (200, 403, 204, 200, 403),
    ("${c}:read", "${c}:purge"): (200, 403, 403, 403, 204),
    ("${c}:purge",): (404, 404, 404, 404, 204),
% else:
    (): (404, 404, 403),
    ("${c}:create",): (404, 404, 403),
    ("${c}:read",): (200, 403, 403),
    ("${c}:read", "${c}:update"): (200, 200, 403),
    ("${c}:delete",): (404, 404, 204),
% endif
}
OPERATIONS = ("read", "update", "delete"${', "restore", "purge"' if v.soft else ""})


@pytest.mark.parametrize("privileges", MATRIX, ids=lambda p: "+".join(p) or "nothing")
async def test_strangers_need_privileges(api: Api, keeper: Caller, privileges: tuple[str, ...]) -> None:
    stranger = await api.user(*privileges)
    for operation, status in zip(OPERATIONS, MATRIX[privileges], strict=True):
        made = await make(keeper)
% if v.soft:
        if operation == "restore":
            await keeper.delete(f"${path}/{made['id']}")
% endif
        answer = await ask(stranger, operation, made["id"])
        assert answer.status_code == status, (operation, answer.text)
        await keeper.delete(f"${path}/{made['id']}${"?hard=true" if v.soft else ""}")


async def test_owner_without_privilege(api: Api) -> None:
    """Owners read and change their own${", delete and restore it" if v.soft else ""}; only removing it for good needs the privilege."""
    owner = await api.user("${v.code}:create"${"".join(f', "{code}"' for code in s.read_besides)})
    made = await make(owner)
    for operation in ("read", "update"${', "delete", "restore"' if v.soft else ""}):
        assert (await ask(owner, operation, made["id"])).is_success, operation
    refused = assert_problem(await ask(owner, "${"purge" if v.soft else "delete"}", made["id"]), 403, "forbidden")
    assert refused["required"] == "${v.code}:${"purge" if v.soft else "delete"}"
    assert ids(await owner.get("${path}/my")) == [made["id"]]


async def test_own_and_everybodys(api: Api, keeper: Caller) -> None:
    other = await api.user(*ALL)
    mine = await make(keeper)
    theirs = await make(other, 1)
    assert ids(await keeper.get("${path}")) == [theirs["id"], mine["id"]]
    assert ids(await keeper.get("${path}/my")) == [mine["id"]]
    assert ids(await keeper.get(f"${path}?owner_id={theirs['owner_id']}")) == [theirs["id"]]
    assert_problem(await keeper.get(f"${path}/my?owner_id={other.id}"), 422)
    assert_problem(await api.get("${path}/my"), 401)


async def test_${v.table}_of_a_removed_user_are_gone(api: Api, keeper: Caller) -> None:
    admin = await api.superuser()
    made = await make(keeper)
    assert (await admin.delete(f"users/{keeper.id}?hard=true")).status_code == 204
    assert_problem(await admin.get(f"${path}/{made['id']}"), 404)


async def test_who_registers_may_make_${v.table}(api: Api) -> None:
    rights = (await (await api.user(role="regular")).get("auth/me")).json()
    assert [code for code in rights["privileges"] if code.startswith("${v.code}:")] == ["${v.code}:create"]
% endif


async def test_pages_and_their_order(keeper: Caller) -> None:
    made = [(await make(keeper, turn))["id"] for turn in (1, 2, 0)]
    newest = made[::-1]
    page = (await keeper.get("${path}?per_page=2")).json()
    assert all(set(row) == SUMMARY for row in page["items"])
    assert (page["total"], page["pages"], page["total_is_capped"]) == (3, 2, False)
    assert [row["id"] for row in page["items"]] == newest[:2]
    assert ids(await keeper.get("${path}?per_page=2&page=2")) == newest[2:]
    assert ids(await keeper.get(f"${path}?per_page=2&cursor={page['next_cursor']}")) == newest[2:]
    assert ids(await keeper.get("${path}?sort=created_at")) == made
    for wrong in ("sort=${s.unknown}", "sort=", "${s.unknown}=1", "page=0", "per_page=1001"):
        assert_problem(await keeper.get(f"${path}?{wrong}"), 422, "validation_error")
% if s.sorted:


@pytest.mark.parametrize("field", [${quoted(s.sorted)}])
async def test_sorted_by_a_field(keeper: Caller, field: str) -> None:
    second, third, first = [(await make(keeper, turn))["id"] for turn in (1, 2, 0)]
    assert ids(await keeper.get(f"${path}?sort={field}")) == [first, second, third]
    assert ids(await keeper.get(f"${path}?sort=-{field}")) == [third, second, first]
    page = (await keeper.get(f"${path}?sort={field}&per_page=1")).json()
    assert ids(await keeper.get(f"${path}?sort={field}&cursor={page['next_cursor']}")) == [second, third]
% endif
% if s.filtered:


@pytest.mark.parametrize("field", [${quoted(s.filtered)}])
async def test_filtered_by_a_field(keeper: Caller, field: str) -> None:
    made = [await make(keeper, turn) for turn in range(3)]
    expected = [row["id"] for row in made if row[field] == SECOND[field]]
    found = ids(await keeper.get("${path}", params={field: SECOND[field], "sort": "created_at"}))
    assert found == expected
    assert made[0]["id"] not in found
    assert_problem(await keeper.get("${path}", params={field: "\x00"}), 422, "validation_error")
% endif
% if v.searchable:


async def test_search(keeper: Caller) -> None:
    made = [(await make(keeper, turn))["id"] for turn in range(3)]
% if s.question:
    assert ids(await keeper.get("${path}/search?q=${s.question.upper()}")) == [made[0]]
% else:
    assert made[0] in ids(await keeper.get("${path}/search", params={"q": FIRST["${v.searchable[0]}"]}))
% endif
    assert ids(await keeper.get("${path}/search?q=nothing-like-this")) == []
    for wrong in ("", "?q=", f"?q={'x' * 201}"):
        assert_problem(await keeper.get(f"${path}/search{wrong}"), 422, "validation_error")
% endif
% if s.unique:


@pytest.mark.parametrize("field", [${quoted(s.unique)}])
async def test_${"live_" if v.soft else ""}value_is_taken(keeper: Caller, field: str) -> None:
    first, second = await make(keeper), await make(keeper, 1)
    clash = {field: FIRST[field]}
    problem = assert_problem(await keeper.patch(f"${path}/{second['id']}", clash), 409, "conflict")
% if all(s.names_fault([field]) for field in s.unique):
    assert [error["loc"] for error in problem["errors"]] == [["body", field]]
% else:
    assert problem["errors"][0]["code"] == "duplicate"
% endif
    sent = ${"await body(keeper.api, 2, **clash)" if s.needed else "{**THIRD, **clash}"}
    assert_problem(await keeper.post("${path}", sent), 409, "conflict")
    await keeper.delete(f"${path}/{first['id']}")
    assert (await keeper.patch(f"${path}/{second['id']}", clash)).status_code == 200
% if v.soft:
    assert_problem(await keeper.post(f"${path}/{first['id']}/restore"), 409, "conflict")
% endif
% endif
% for group in s.together:


async def test_${s.group_name(group, loop.index + 1)}_are_unique_together(${"api: Api, " if s.group_needs_api(group) else ""}keeper: Caller) -> None:
    first = await make(keeper${s.group_arguments(group)})
    clash = {name: first[name] for name in (${quoted(group)})}
    sent = ${"await body(keeper.api, 1, **clash)" if s.needed else "{**SECOND, **clash}"}
    problem = assert_problem(await keeper.post("${path}", sent), 409, "conflict")
% if s.names_fault(group):
    assert [error["loc"] for error in problem["errors"]] == [["body", "${group[0]}"]]
% else:
    assert problem["errors"][0]["code"] == "duplicate"
% endif
% if not s.owners_differ:
    second = await make(keeper, 1)
    assert_problem(await keeper.patch(f"${path}/{second['id']}", clash), 409, "conflict")
% endif
% endfor


async def test_changes_are_in_the_log(api: Api, keeper: Caller) -> None:
    made = await make(keeper)
% if s.changing:
    await keeper.patch(f"${path}/{made['id']}", {"${s.changing}": SECOND["${s.changing}"]})
% endif
    await keeper.delete(f"${path}/{made['id']}")
    auditor = await api.user(role="auditor")
    params = {"entity": "${v.table}", "entity_id": made["id"], "order": "asc"}
    rows = (await auditor.get("audit/changes", params=params)).json()["items"]
    assert [row["action"] for row in rows] == ["INSERT", ${'"UPDATE", ' if s.changing else ""}"${"UPDATE" if v.soft else "DELETE"}"]
    assert {row["actor"]["id"] for row in rows} == {keeper.id}
    logged = ${s.logged}
    assert {name: rows[0]["new"][name] for name in logged} == logged
% if s.changing:
    assert rows[1]["old"]["${s.changing}"] ${s.is_logged(s.changing, 0)}
    assert rows[1]["new"]["${s.changing}"] ${s.is_logged(s.changing, 1)}
% endif
% for ref in v.references:


async def test_${ref.name}_is_there_and_live(api: Api, keeper: Caller) -> None:
    made = await make(keeper)
    path = f"${path}/{made['id']}"
    target = ${s.target(ref, 1)}
    referring = await keeper.patch(path, {"${ref.field}": target})
    assert (referring.status_code, referring.json()["${ref.field}"]) == (200, target)
    assert ids(await keeper.get(f"${path}?${ref.field}={target}")) == [made["id"]]
    assert ids(await keeper.get(f"${path}?${ref.field}={uuid4()}")) == []
% if ref.is_target_soft:
    gone = ${s.target(ref, 2)}
    await (await api.superuser()).delete(f"${s.target_path(ref)}/{gone}")
    for unknown in (str(uuid4()), gone):
        problem = assert_problem(await keeper.patch(path, {"${ref.field}": unknown}), 422, "validation_error")
        assert [(e["loc"], e["code"]) for e in problem["errors"]] == [(["body", "${ref.field}"], "unknown")]
% else:
    problem = assert_problem(await keeper.patch(path, {"${ref.field}": str(uuid4())}), 422, "validation_error")
    assert [(e["loc"], e["code"]) for e in problem["errors"]] == [(["body", "${ref.field}"], "unknown")]
% endif
% if ref.is_nullable:
    emptied = await keeper.patch(path, {"${ref.field}": None})
    assert (emptied.status_code, emptied.json()["${ref.field}"]) == (200, None)
% endif
% if ref.is_target_owned and not ref.is_own:
    blind = await api.user(*(set(ALL) - {${quoted(s.read_besides)}}))
    assert_problem(await blind.patch(path, {"${ref.field}": target}), 422, "validation_error")
% endif


async def test_${ref.name}_that_is_removed_for_good(api: Api, keeper: Caller) -> None:
    admin = await api.superuser()
    target = ${s.target(ref)}
    made = await make(keeper, 1, ${ref.field}=target)
    gone = await admin.delete(f"${s.target_path(ref)}/{target}${"?hard=true" if ref.is_target_soft else ""}")
% if ref.relation.on_delete == "restrict":
    assert_problem(gone, 409, "in_use")
    assert (await keeper.get(f"${path}/{made['id']}")).json() == made
% elif ref.relation.on_delete == "cascade":
    assert gone.status_code == 204
    assert_problem(await keeper.get(f"${path}/{made['id']}"), 404)
% else:
    assert gone.status_code == 204
    assert (await keeper.get(f"${path}/{made['id']}")).json()["${ref.field}"] is None
% endif
% endfor
% for link in v.links:


async def test_${link.field}_are_replaced_as_a_set(api: Api, keeper: Caller) -> None:
    one, two = ${s.target(link, 1)}, ${s.target(link, 2)}
    made = await make(keeper, ${link.field}=[one])
    assert (made["${link.field}"], made["version"]) == ([one], 1)
    path = f"${path}/{made['id']}"
    changed = (await keeper.patch(path, {"${link.field}": [two, one, two]})).json()
    assert (changed["${link.field}"], changed["version"]) == (sorted([one, two]), 2)
    assert (await keeper.patch(path, {"${link.field}": [one, two]})).json() == changed
    problem = assert_problem(await keeper.patch(path, {"${link.field}": [one, str(uuid4())]}), 422, "validation_error")
    assert [(e["loc"], e["code"]) for e in problem["errors"]] == [(["body", "${link.field}", 1], "unknown")]
    await (await api.superuser()).delete(f"${s.target_path(link)}/{two}")
    assert (await keeper.get(path)).json()["${link.field}"] == [one]
    assert (await keeper.patch(path, {"${link.field}": []})).json()["${link.field}"] == []
    params = {"entity": "${link.link_table}", "actor_id": keeper.id, "order": "asc"}
    rows = (await (await api.user(role="auditor")).get("audit/changes", params=params)).json()["items"]
    assert rows[0]["action"] == "INSERT"
    assert rows[0]["new"] == {"${v.single}_id": made["id"], "${link.name}_id": one}
% endfor
