# ${capital(v.many)}

${v.table_sentence}${f" Owners may everything with their own {v.many} but remove them for good; others need the privilege." if v.owned else ""}

${"##"} Fields

| field | type | |
|---|---|---|
% for attribute in v.attributes:
| `${attribute.name}` | ${p.type_words(attribute)} | ${p.rule_words(attribute)} |
% endfor
% for ref in v.references:
| `${ref.field}` | id of ${ref.a_target} | ${"may be empty" if ref.is_nullable else "required"}; ${p.delete_words(ref)} |
% endfor
% for link in v.links:
| `${link.field}` | ids of ${link.target_many} | at most 1000; sent, they replace the set; deleted ${link.target_many} are left out |
% endfor
% if v.owned:
| `owner_id`, `owner` | id; `{id, full_name}` | who made it |
% endif

Every answer has `id` and `created_at` besides, the detail also ${"`created_by`, " if not v.owned else ""}`updated_at` and `version`.
Lists show `${"`, `".join(p.summary_fields)}`.

${"##"} Calls

Below `/api/v1${v.path}`:

| call | privilege | |
|---|---|---|
| `GET` | `${v.code}:read` | ${p.list_words} |
% if v.owned:
| `GET /my` | own | the same for one's own |
% endif
% if v.searchable:
| `GET /search?q=` | `${v.code}:read` | each word of `q` must begin a word of ${v.search_words}; ${v.hits} |
% endif
| `POST` | `${v.code}:create` | 201 with the detail |
| `GET /{id}` | ${"own, or " if v.owned else ""}`${v.code}:read` | the detail |
| `PATCH /{id}` | ${"own, or " if v.owned else ""}`${v.code}:update` | changes what is sent |
% if v.soft:
| `DELETE /{id}` | ${"own, or " if v.owned else ""}`${v.code}:delete` | 204; it can be brought back |
| `DELETE /{id}?hard=true` | `${v.code}:purge` | 204; gone for good |
| `POST /{id}/restore` | ${"own, or " if v.owned else ""}`${v.code}:delete` | the detail |
% else:
| `DELETE /{id}` | `${v.code}:delete` | 204; gone for good |
% endif
% if v.entity.privileges:

Privileges that no call asks for yet:

% for privilege in v.entity.privileges:
- `${v.code}:${privilege.action}`: ${privilege.description}
% endfor
% endif
% if p.notes:

${"##"} Worth knowing

% for note in p.notes:
- ${note}
% endfor
% endif
