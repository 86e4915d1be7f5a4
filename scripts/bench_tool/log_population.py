"""Two logs as they are after three months: many people, records, routes and answers, a few of each of them busy."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from bench_tool.population import ITEMS

PEOPLE = 2_000
FILL_SECONDS = 900.0
# Kinds of requests: how many of a thousand, then how they look. A path may hold the number of its request.
_KINDS = (
    (300, "GET", "/api/v1/items/{item_id}", "/api/v1/items/%s", "items", "read_item", None, 200),
    (180, "GET", "/api/v1/items", "/api/v1/items", "items", "list_items", "items:read", 200),
    (140, "GET", "/health/ready", "/health/ready", None, "read_readiness", None, 200),
    (100, "GET", "/api/v1/users/me", "/api/v1/users/me", "users", "read_me", None, 200),
    (80, "PATCH", "/api/v1/items/{item_id}", "/api/v1/items/%s", "items", "update_item", None, 200),
    (60, "POST", "/api/v1/items", "/api/v1/items", "items", "create_item", "items:create", 201),
    (50, "POST", "/api/v1/auth/refresh", "/api/v1/auth/refresh", "auth", "refresh", None, 200),
    (40, "POST", "/api/v1/auth/login", "/api/v1/auth/login", "auth", "log_in", None, 200),
    (25, "DELETE", "/api/v1/items/{item_id}", "/api/v1/items/%s", "items", "delete_item", None, 204),
    (15, "GET", None, "/wp-login.php?%s", None, None, None, 404),
    (8, "PUT", "/api/v1/users/{user_id}/roles", "/api/v1/users/%s/roles", "users", "set_roles", None, 200),
    (2, "GET", "/api/v1/audit/changes", "/api/v1/audit/changes", "audit", "list_changes", "audit:read", 200),
)
_PEOPLE = f"""
INSERT INTO users (id, email, full_name, password_hash, is_blocked, auth_version, rights_version, search_text,
                   created_at, updated_at, version)
SELECT gen_random_uuid(), 'person' || n || '@example.com', 'Person ' || n, '!', false, 1, n, '', now(), now(), 1
FROM generate_series(1, {PEOPLE}) n
"""  # noqa: S608  made of constants
# The same number of a request gives the same person in both logs; some are busier than others.
_TOOLS = f"""
CREATE TABLE bench_people AS SELECT row_number() OVER (ORDER BY pk) - 1 AS place, id::text FROM users;
CREATE TABLE bench_records AS SELECT row_number() OVER (ORDER BY pk) - 1 AS place, id::text FROM items;
CREATE TABLE bench_kinds (since float, until float, method text, route text, path text, module text,
                          operation text, privilege text, status int);
CREATE FUNCTION bench_dice(number bigint, salt int) RETURNS float IMMUTABLE LANGUAGE sql AS
    'SELECT (hashint8extended(number, salt) & 1048575) / 1048576.0';
CREATE FUNCTION bench_person(number bigint) RETURNS int IMMUTABLE LANGUAGE sql AS
    'SELECT floor(power(bench_dice(number, 1), 2) * {PEOPLE})::int';
CREATE FUNCTION bench_record(number bigint) RETURNS int IMMUTABLE LANGUAGE sql AS
    'SELECT floor(power(bench_dice(number, 6), 1.5) * {ITEMS})::int';
"""  # noqa: S608  made of constants
_ACCESS = """
INSERT INTO audit_access (occurred_at, xid, duration_us, request_id, boot_id, seq, method, path, route, query, status,
    outcome, error_class, actor_type, actor_id, auth_method, session_id, client_ip, peer_ip, user_agent,
    request_bytes, response_bytes, is_probe, module, operation, privilege)
SELECT now() - interval '90 days' * (1 - n::float / $1), 3 + n % 500,
    (1000 + 20000 * power(bench_dice(n, 2), 20) * 100)::bigint, md5(n::text), md5((n / 40000)::text), n % 40000,
    kind.method, format(kind.path, md5(n::text)), kind.route,
    CASE WHEN kind.operation = 'list_items' THEN '{"per_page": "100", "sort": "-created_at"}'::jsonb END,
    answer.status, CASE WHEN answer.status IN (401, 403) THEN 'denied' WHEN answer.status >= 500 THEN 'server_error'
        WHEN answer.status >= 400 THEN 'client_error' WHEN bench_dice(n, 3) < 0.001 THEN 'aborted' ELSE 'ok' END,
    CASE WHEN answer.status = 500 THEN 'KeyError' END,
    CASE WHEN person.id IS NULL THEN 'anonymous' ELSE 'user' END, person.id,
    CASE WHEN person.id IS NOT NULL THEN 'jwt' END, CASE WHEN person.id IS NOT NULL THEN md5(person.id)::uuid END,
    format('198.51.%s.%s', bench_person(n) / 250, bench_person(n) % 250), '10.0.0.1',
    'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 120, 640,
    kind.path LIKE '/health%', kind.module, kind.operation, kind.privilege
FROM generate_series(1, $1::bigint) n
JOIN bench_kinds kind ON bench_dice(n, 4) >= kind.since AND bench_dice(n, 4) < kind.until
LEFT JOIN bench_people person ON person.place = bench_person(n) AND kind.module IS NOT NULL
CROSS JOIN LATERAL (SELECT CASE WHEN bench_dice(n, 5) < 0.00002 THEN 503 WHEN bench_dice(n, 5) < 0.0005 THEN 500
    WHEN bench_dice(n, 5) < 0.005 THEN 403 WHEN bench_dice(n, 5) < 0.02 THEN 401 WHEN bench_dice(n, 5) < 0.04 THEN 404
    WHEN bench_dice(n, 5) < 0.05 THEN 422 ELSE kind.status END AS status) answer
ORDER BY n
"""
# Two changes in each transaction, by the person of the access row with the same request id.
_CHANGES = """
INSERT INTO audit_change (occurred_at, xid, tx_id, tx_seq, request_id, origin, actor_type, actor_id, client_ip, action,
    entity, entity_id, changed, old, new, truncated, redacted)
SELECT now() - interval '90 days' * (1 - n::float / $1), 3 + n % 500, md5('tx' || n / 2)::uuid, 1 + n % 2,
    md5((n / 2 * 2)::text), 'request', 'user', person.id, '198.51.100.1', what.action, what.entity, what.entity_id,
    CASE what.action WHEN 'UPDATE' THEN jsonb_build_array(what.field, 'updated_at', 'version')
        ELSE '["id", "title", "description", "owner_id", "created_at", "updated_at", "version"]' END,
    CASE what.action WHEN 'UPDATE' THEN jsonb_build_object(what.field, 'A text before change ' || n,
        'updated_at', now(), 'version', n % 100) WHEN 'DELETE' THEN whole.image END,
    CASE what.action WHEN 'UPDATE' THEN jsonb_build_object(what.field, 'A text after change ' || n,
        'updated_at', now(), 'version', n % 100 + 1) WHEN 'INSERT' THEN whole.image END,
    false, what.field = 'password_hash'
FROM generate_series(1, $1::bigint) n
JOIN bench_people person ON person.place = bench_person(n / 2 * 2)
JOIN bench_records record ON record.place = bench_record(n)
CROSS JOIN LATERAL (SELECT
    CASE WHEN bench_dice(n, 7) < 0.7 THEN 'UPDATE' WHEN bench_dice(n, 7) < 0.97 THEN 'INSERT' ELSE 'DELETE' END
        AS action,
    CASE WHEN bench_dice(n, 8) < 0.8 THEN 'items' WHEN bench_dice(n, 8) < 0.999 THEN 'users' ELSE 'roles' END AS entity,
    CASE WHEN bench_dice(n, 8) < 0.8 THEN record.id ELSE person.id END AS entity_id,
    CASE WHEN bench_dice(n, 8) < 0.8 THEN 'title' WHEN bench_dice(n, 9) < 0.1 THEN 'password_hash'
        WHEN bench_dice(n, 9) < 0.105 THEN 'email' ELSE 'full_name' END AS field) what
CROSS JOIN LATERAL (SELECT jsonb_build_object('id', what.entity_id, 'title', 'Record of change ' || n,
    'description', repeat('A text as people write it. ', 8), 'owner_id', person.id, 'created_at', now(),
    'updated_at', now(), 'version', 1) AS image) whole
ORDER BY n
"""
_CHOSEN = """
SELECT
  (SELECT actor_id FROM audit_access WHERE actor_id > '' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1) AS busy_actor,
  (SELECT actor_id FROM audit_access WHERE actor_id > '' GROUP BY 1 ORDER BY count(*) LIMIT 1) AS quiet_actor,
  (SELECT entity_id FROM audit_change WHERE entity = 'items' GROUP BY 1 ORDER BY count(*) DESC LIMIT 1) AS busy_record,
  (SELECT entity_id FROM audit_change WHERE entity = 'items' GROUP BY 1 ORDER BY count(*) LIMIT 1) AS quiet_record,
  (SELECT request_id FROM audit_change WHERE id = (SELECT max(id) / 2 FROM audit_change)) AS request,
  (SELECT tx_id::text FROM audit_change WHERE id = (SELECT max(id) / 2 FROM audit_change)) AS tx,
  (SELECT client_ip FROM audit_access WHERE client_ip LIKE '198%' GROUP BY 1 ORDER BY count(*) LIMIT 1) AS quiet_ip,
  date_trunc('hour', now()) AS hour
"""


@dataclass(frozen=True, slots=True)
class LogSubject:
    """What is asked about; `hour`: the present one."""

    busy_actor: str
    quiet_actor: str
    busy_record: str
    quiet_record: str
    request: str
    tx: str
    quiet_ip: str
    hour: datetime


def fill(url: str, rows: int) -> LogSubject:
    """So many rows into each log, evenly over ninety days up to now."""
    return asyncio.run(_fill(url, rows))


async def _fill(url: str, rows: int) -> LogSubject:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        await connection.execute(_PEOPLE)
        await connection.execute(_TOOLS)
        await connection.copy_records_to_table("bench_kinds", records=kinds())
        await connection.execute("ANALYZE")
        await connection.execute(_ACCESS, rows, timeout=FILL_SECONDS)
        await connection.execute(_CHANGES, rows, timeout=FILL_SECONDS)
        await connection.execute("VACUUM ANALYZE", timeout=FILL_SECONDS)
        return LogSubject(**await connection.fetchrow(_CHOSEN, timeout=FILL_SECONDS))
    finally:
        await connection.close()


def kinds() -> list[tuple[object, ...]]:
    """The kinds of requests, each with its part of the span from 0 to 1."""
    made: list[tuple[object, ...]] = []
    since = 0.0
    for share, *rest in _KINDS:
        until = since + share / 1000
        made.append((since, until, *rest))
        since = until
    return made
