"""What an auditor asks, as requests."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from urllib.parse import quote

from bench_tool.log_population import LogSubject


@dataclass(frozen=True, slots=True)
class Question:
    """One call below `/audit`. `usual`: it has to be answered quickly and by an index."""

    name: str
    path: str
    usual: bool = False


QUESTIONS = (
    Question("requests, the newest", "access", usual=True),
    Question("by a busy actor", "access?actor_id={busy_actor}", usual=True),
    Question("by a quiet actor", "access?actor_id={quiet_actor}", usual=True),
    Question("by an actor who did nothing", "access?actor_id=nobody", usual=True),
    Question("by request id", "access?request_id={request}", usual=True),
    Question("the story of a request", "requests/{request}", usual=True),
    Question("an hour, a month ago", "access?from={month_ago}&to={hour_later}", usual=True),
    Question("a day, two months ago, the oldest first", "access?from={two_ago}&to={day_later}&order=asc", usual=True),
    Question("since yesterday, the oldest first", "access?from={yesterday}&order=asc", usual=True),
    Question("status 500", "access?status=500", usual=True),
    Question("status 503, which is rare", "access?status=503", usual=True),
    Question("status 418, which never was", "access?status=418", usual=True),
    Question("status 201, which is common", "access?status=201", usual=True),
    Question("all 4xx", "access?status_class=4xx", usual=True),
    Question("all 5xx", "access?status_class=5xx", usual=True),
    Question("outcome denied", "access?outcome=denied"),
    Question("outcome server_error", "access?outcome=server_error"),
    Question("outcome aborted", "access?outcome=aborted"),
    Question("outcome rejected, which never was", "access?outcome=rejected"),
    Question("a quiet address", "access?ip={quiet_ip}", usual=True),
    Question("a network of 250 addresses", "access?ip=198.51.3.0/24"),
    Question("a common route", "access?route=/api/v1/items"),
    Question("a rare route", "access?route=/api/v1/audit/changes"),
    Question("a busy actor's denied requests", "access?actor_id={busy_actor}&outcome=denied"),
    Question("a busy actor's 503", "access?actor_id={busy_actor}&status=503"),
    Question("an actor in an hour", "access?actor_id={busy_actor}&from={month_ago}&to={hour_later}"),
    Question("by DELETE", "access?method=DELETE"),
    Question("below a path", "access?path_prefix=/api/v1/users/"),
    Question("slower than a second", "access?min_duration_ms=1000"),
    Question("without probes", "access?include_probes=false"),
    Question("changes, the newest", "changes", usual=True),
    Question("changes by a busy actor", "changes?actor_id={busy_actor}", usual=True),
    Question("changes of a busy record", "changes?entity=items&entity_id={busy_record}", usual=True),
    Question("changes of a quiet record", "changes?entity=items&entity_id={quiet_record}", usual=True),
    Question("changes of a record, table not said", "changes?entity_id={quiet_record}"),
    Question("changes of a request", "changes?request_id={request}", usual=True),
    Question("changes of a transaction", "changes?tx_id={tx}", usual=True),
    Question("changes in an hour, a month ago", "changes?from={month_ago}&to={hour_later}", usual=True),
    Question("changes of a rare table", "changes?entity=roles"),
    Question("all deletes", "changes?action=DELETE"),
    Question("changes of an e-mail address", "changes?entity=users&field=email"),
    Question("a busy actor's changed passwords", "changes?actor_id={busy_actor}&field=password_hash"),
    Question("updates of a rare field", "changes?action=UPDATE&field=email"),
    Question("changes by migrations, none", "changes?origin=migration"),
    Question("history of a busy record", "entities/items/{busy_record}/history", usual=True),
    Question("a busy record a month ago", "entities/items/{busy_record}/as-of?at={month_ago}"),
    Question("what became of it in two days", "entities/items/{busy_record}/diff?from={month_ago}&to={two_days_later}"),
    Question("drift of a busy record", "entities/items/{busy_record}/drift"),
    Question("drift of a quiet record", "entities/items/{quiet_record}/drift"),
    Question("a week by day and outcome", "stats?stream=access&bucket=day&group_by=outcome&from={week_ago}"),
    Question("a week by day and actor", "stats?stream=access&bucket=day&from={week_ago}&actor_id={busy_actor}"),
    Question("changes, a week by day and action", "stats?stream=changes&bucket=day&group_by=action&from={week_ago}"),
    Question("all by day", "stats?stream=access&bucket=day"),
)  # fmt: skip


def path_of(question: Question, subject: LogSubject) -> str:
    """With the ids and instants that are asked about."""
    month, two = subject.hour - timedelta(days=30), subject.hour - timedelta(days=60)
    moments = {
        "month_ago": month,
        "hour_later": month + timedelta(hours=1),
        "two_days_later": month + timedelta(days=2),
        "two_ago": two,
        "day_later": two + timedelta(days=1),
        "yesterday": subject.hour - timedelta(days=1),
        "week_ago": subject.hour - timedelta(days=7),
    }
    values = {**asdict(subject), **{name: at.isoformat() for name, at in moments.items()}}
    return question.path.format(**{name: quote(str(value)) for name, value in values.items()})
