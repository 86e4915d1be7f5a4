"""What a URI names: a folder or an object store for archives, a file, a stream or an object store for anchors."""

from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from app.core.evidence.anchors import Anchor, FileAnchor, StreamAnchor
from app.core.evidence.destinations import Destination, Folder
from app.core.evidence.extras import needed_for

_OBJECT_STORES = {"s3", "gs", "az"}


def open_destination(uri: str) -> Destination:
    """The place of a URI: a path, `file:///path`, `s3://bucket/prefix`, `gs://…` or `az://…`. Raises ValueError."""
    parts = urlsplit(uri)
    if parts.scheme in _OBJECT_STORES:
        with needed_for(f"{parts.scheme}://"):
            from app.core.evidence.object_stores import open_object_store  # noqa: PLC0415  # an extra package
        return open_object_store(uri)
    if (path := _path(uri, parts)) is not None:
        return Folder(path)
    raise ValueError(f"{uri!r} is no place for an archive: give a folder, s3://, gs:// or az://")


def open_anchor(uri: str) -> Anchor | None:
    """The anchor of a URI: `stdout:`, `file:///path`, a path, `s3://bucket/prefix`, `gs://…` or `az://…`.

    None for an empty one. Raises ValueError.
    """
    if not uri:
        return None
    parts = urlsplit(uri)
    if uri in {"stdout:", "stdout", "stdout://"}:
        return StreamAnchor()
    if parts.scheme in _OBJECT_STORES:
        with needed_for(f"{parts.scheme}://"):
            from app.core.evidence.object_stores import open_object_anchor  # noqa: PLC0415  # an extra package
        return open_object_anchor(uri)
    if (path := _path(uri, parts)) is not None:
        return FileAnchor(path)
    raise ValueError(f"{parts.scheme}: is no anchor; file:///path, s3://, gs://, az:// and stdout: are")


def _path(uri: str, parts: SplitResult) -> Path | None:
    """A path of this machine; None of what is none."""
    if parts.scheme == "file" and parts.netloc in {"", "localhost"}:
        return Path(unquote(parts.path))
    return Path(uri) if uri and parts.scheme == "" else None
