"""Where SQLAlchemy lets us look: the events of our own session class, and of the mappers while it flushes."""

from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import (
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
    object_session,
)

from app.core.audit.bulk import execute_captured
from app.core.audit.capture import Flush, capture_of, identity_of
from app.core.audit.images import Image
from app.core.audit.policy import TablePolicy, policy_of
from app.core.transaction import TransactionSession


@event.listens_for(TransactionSession, "after_begin")
def _on_begin(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    connection.info["capture"] = capture_of(session)


@event.listens_for(TransactionSession, "after_transaction_create")
def _on_create(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested and (capture := capture_of(session)) is not None:
        capture.mark(transaction)


@event.listens_for(TransactionSession, "after_soft_rollback")
def _on_rollback(session: Session, previous: SessionTransaction) -> None:
    if (capture := capture_of(session)) is not None:
        capture.undo(previous)


@event.listens_for(TransactionSession, "after_commit")
def _on_commit(session: Session) -> None:
    capture = capture_of(session)
    if capture is not None and not session.in_nested_transaction():
        capture.ids.keep()


@event.listens_for(TransactionSession, "before_flush")
def _before_flush(session: Session, context: UOWTransaction, _instances: object) -> None:
    capture = capture_of(session)
    if capture is None:
        return
    flush = Flush(session.connection(), context)
    keys: dict[TablePolicy, list[Any]] = {}
    deleted: dict[TablePolicy, list[Any]] = {}
    for target in (*session.dirty, *session.deleted):
        policy = _policy(target)
        if policy is not None:
            keys.setdefault(policy, []).append(_stored_key(target))
            if target in session.deleted:
                deleted.setdefault(policy, []).append(_stored_key(target))
    for policy, wanted in keys.items():
        flush.read_before(policy, wanted)
    gone = {policy: _images(flush, policy, wanted) for policy, wanted in deleted.items()}
    flush.cascades.from_deleted(gone)
    capture.flushing = flush


@event.listens_for(TransactionSession, "after_flush")
def _after_flush(session: Session, _context: UOWTransaction) -> None:
    capture = capture_of(session)
    if capture is None:
        return
    flush, capture.flushing = capture.flushing, None
    if flush is not None:
        with capture.seen():
            changes = flush.changes()
        capture.write(flush.connection, changes)


@event.listens_for(TransactionSession, "do_orm_execute")
def _on_execute(state: ORMExecuteState) -> Any:
    capture = capture_of(state.session)
    if capture is not None and (state.is_insert or state.is_update or state.is_delete):
        return execute_captured(state, capture)
    return None


@event.listens_for(Mapper, "after_insert")
def _after_insert(_mapper: object, _connection: Connection, target: Any) -> None:
    _touch(target, "insert")


@event.listens_for(Mapper, "before_update")
def _before_update(_mapper: object, _connection: Connection, target: Any) -> None:
    _read_late(target)


@event.listens_for(Mapper, "after_update")
def _after_update(_mapper: object, _connection: Connection, target: Any) -> None:
    _touch(target, "update")


@event.listens_for(Mapper, "before_delete")
def _before_delete(_mapper: object, _connection: Connection, target: Any) -> None:
    flush, policy = _read_late(target)
    if flush is not None and policy is not None and not flush.cascades.tells(policy, _stored_key(target)):
        flush.cascades.from_deleted({policy: _images(flush, policy, [_stored_key(target)])})


@event.listens_for(Mapper, "after_delete")
def _after_delete(_mapper: object, _connection: Connection, target: Any) -> None:
    _touch(target, "delete")


def _read_late(target: Any) -> tuple[Flush | None, TablePolicy | None]:
    """The image of a row that the flush itself found it has to write: nullified references, orphans."""
    flush, policy = _flush(target), _policy(target)
    if flush is not None and policy is not None:
        flush.read_before(policy, [_stored_key(target)])
    return flush, policy


def _touch(target: Any, kind: str) -> None:
    flush, policy = _flush(target), _policy(target)
    if flush is None or policy is None:
        return
    key = None if kind == "insert" else _stored_key(target)
    if kind == "delete" and key is not None and flush.cascades.tells(policy, key):
        return
    flush.touched.append((policy, key, target, kind))


def _flush(target: Any) -> Flush | None:
    session = object_session(target)
    capture = capture_of(session) if isinstance(session, TransactionSession) else None
    return capture.flushing if capture is not None else None


def _policy(target: Any) -> TablePolicy | None:
    return policy_of(target.__table__)


def _stored_key(target: Any) -> Any:
    """The key that the row has in the database: a changed key counts only after the flush."""
    return inspect(target).identity or identity_of(target)


def _images(flush: Flush, policy: TablePolicy, keys: list[Any]) -> list[Image]:
    known = flush.before.get(policy.table, {})
    return [known[key] for key in keys if key in known]
