from tests.api import Api, assert_problem


async def test_create_and_read_one(api: Api) -> None:
    owner = await api.user(role="regular")
    made = await owner.post("items", {"title": "A lamp", "description": "Brass"})
    assert made.status_code == 201
    item = made.json()
    assert made.headers["location"] == f"/api/v1/items/{item['id']}"
    assert set(item) == {"id", "title", "description", "owner", "owner_id", "created_at", "updated_at", "version"}
    assert item["owner"]["id"] == item["owner_id"] == owner.id
    read = await owner.get(f"items/{item['id']}")
    assert read.status_code == 200
    assert read.json() == item


async def test_foreign_item_without_privilege_is_404(api: Api) -> None:
    owner = await api.user(role="regular")
    item = (await owner.post("items", {"title": "A lamp"})).json()
    stranger = await api.user("items:create")
    assert_problem(await stranger.get(f"items/{item['id']}"), 404, "not_found")
