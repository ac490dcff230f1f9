"""The same fit is the same bytes: a skops file without what differs between two dumps of one model."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

#: What a zip entry's date is set to: the file says nothing about when it was written.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def same_bytes(data: bytes) -> bytes:
    """The same archive without what differs between two dumps of one model: addresses, dates, and the gaps in records.

    skops names objects by their address in memory. They are renamed here in the order in which the schema meets them.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: _without_gaps(name, archive.read(name)) for name in archive.namelist()}
    schema = json.loads(parts.pop("schema.json"))
    numbers: dict[int, int] = {}
    files: dict[str, str] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        renamed: dict[str, Any] = {}
        for key, value in node.items():
            if key == "__id__" and isinstance(value, int):
                renamed[key] = numbers.setdefault(value, len(numbers) + 1)
            elif key == "file" and value in parts:
                suffix = value.rpartition(".")[2]
                renamed[key] = files.setdefault(value, f"{len(files) + 1}.{suffix}")
            else:
                renamed[key] = walk(value)
        return renamed

    schema = walk(schema)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, content in [
            ("schema.json", json.dumps(schema, sort_keys=True).encode()),
            *sorted((files.get(name, name), content) for name, content in parts.items()),
        ]:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _without_gaps(name: str, content: bytes) -> bytes:
    """An array of records with zeros between the fields, where a tree's nodes hold whatever was in memory before."""
    import numpy as np

    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()
