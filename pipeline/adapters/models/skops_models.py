"""Fitted estimators as skops files: no code runs when one is loaded, and the same fit is the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

from pipeline.core.errors import RefusedError
from pipeline.core.ports import Files

#: Types beyond those that skops trusts by itself. Held in code: a file's own list is whoever wrote the file's.
#: Compiled code follows a tree's numbers as indices without looking whether they lie inside: so a file is opened only
#: after its digest has been found to be the one that was written down when the model was fitted.
TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
#: What a zip entry's date is set to: the file says nothing about when it was written.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class SkopsModels:
    """The models behind the file store."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def save(self, folder: str, estimator: Any) -> tuple[str, str]:
        """Write ``<folder>/<sha256>.skops``; returns that name and the SHA-256.

        Raises:
            RefusedError: With code ``UNTRUSTED`` if the estimator has a type that would be refused when it is loaded.
        """
        import skops.io

        data = _same_bytes(skops.io.dumps(estimator))
        _check_types(data, type(estimator).__name__)
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{folder}/{sha256}.skops"
        self._files.put(name, data)
        return name, sha256

    def load(self, name: str, sha256: str) -> Any:
        """The estimator of that file.

        Raises:
            RefusedError: ``TAMPERED`` if the file does not have that digest (it is not opened then), ``MISSING`` if it
                is not there, ``UNTRUSTED`` if it holds a type that is not on the list, ``UNREADABLE`` if it is none.
            UnavailableError: ``STORAGE`` if this account may not read it.
        """
        return self.open(self._files.get(name, sha256), name)

    def open(self, data: bytes, what: str) -> Any:
        """The estimator of these bytes, whose digest was found right; refuses as :meth:`load` does."""
        return opened(data, what)

    def peak_memory(self, models: Sequence[bytes], inputs: Any) -> Sequence[float]:
        """Peak resident bytes of a process that loads the model and answers ``inputs``; NaN where it could not."""
        from pipeline.adapters.models.memory import weighed

        return weighed(models, inputs)


def opened(data: bytes, what: str) -> Any:
    """The estimator of a file's bytes: no code of theirs runs, and no type is made that is not on the list.

    Raises:
        RefusedError: As :meth:`SkopsModels.load`.
    """
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    _check_types(data, what)
    with warnings.catch_warnings():
        # scikit-learn only warns of a model fitted under another release; its predictions may differ all the same.
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return skops.io.loads(data, trusted=sorted(TRUSTED))
        except Exception as error:
            raise _unreadable(what, error) from error


def _unreadable(name: str, error: Exception) -> RefusedError:
    return RefusedError(
        f"the model file '{name}' can't be read ({type(error).__name__}: {error}); retrain it, or roll back to another",
        "UNREADABLE",
    )


def _check_types(data: bytes, what: str) -> None:
    import skops.io

    try:
        foreign = sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED)
    except Exception as error:
        raise _unreadable(what, error) from error
    if foreign:
        raise RefusedError(
            f"'{what}' holds types that are not on the list of trusted ones: {', '.join(foreign[:5])}; build "
            "the recipe of scikit-learn's own parts, or review the type and add it to TRUSTED in "
            "adapters/models/skops_models.py",
            "UNTRUSTED",
        )


def _same_bytes(data: bytes) -> bytes:
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
        made: dict[str, Any] = {}
        for key, value in node.items():
            if key == "__id__" and isinstance(value, int):
                made[key] = numbers.setdefault(value, len(numbers) + 1)
            elif key == "file" and value in parts:
                suffix = value.rpartition(".")[2]
                made[key] = files.setdefault(value, f"{len(files) + 1}.{suffix}")
            else:
                made[key] = walk(value)
        return made

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
