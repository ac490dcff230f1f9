"""Where a store may lie, for tests that hold everywhere: a folder, or a bucket."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pipeline.adapters.files.bucket import BucketFiles
from pipeline.adapters.files.local import LocalFiles
from pipeline.adapters.s3.address import Address
from pipeline.adapters.s3.bucket import Bucket
from pipeline.adapters.store.delta import DeltaStore
from tests.s3 import Storage

#: What another process needs to open the same place.
Where = Path | Address


def store_at(where: Where) -> DeltaStore:
    return DeltaStore(where if isinstance(where, Path) else Bucket(where))


def files_at(where: Where) -> LocalFiles | BucketFiles:
    return LocalFiles(where / "files") if isinstance(where, Path) else BucketFiles(Bucket(where))


def told(where: Where) -> str:
    """As a word of a command."""
    return json.dumps(str(where) if isinstance(where, Path) else dataclasses.asdict(where))


def where_of(told: str) -> Where:
    """What such a word means."""
    where = json.loads(told)
    return Path(where) if isinstance(where, str) else Address(**where)


class Disk:
    """What lies in a folder."""

    def __init__(self, root: Path) -> None:
        self.where = root

    def names(self, start: str = "") -> set[str]:
        found = {path.relative_to(self.where).as_posix() for path in self.where.rglob("*") if path.is_file()}
        return {name for name in found if name.startswith(start)}

    def read(self, name: str) -> bytes:
        return (self.where / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.where / name).parent.mkdir(parents=True, exist_ok=True)
        (self.where / name).write_bytes(data)

    def remove(self, name: str) -> None:
        path = self.where / name
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


class OnStorage:
    """What lies in a bucket; written over behind the product's back, as a person with the keys can."""

    def __init__(self, storage: Storage) -> None:
        self.where = storage.address()
        self._client = storage.client()

    def names(self, start: str = "") -> set[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.where.bucket, Prefix=self.where.prefix + start
        )
        cut = len(self.where.prefix)
        found = {one["Key"][cut:] for page in pages for one in page.get("Contents", ())}
        return found - {".conditional-put"}

    def read(self, name: str) -> bytes:
        return self._client.get_object(Bucket=self.where.bucket, Key=self.where.prefix + name)["Body"].read()

    def write(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket=self.where.bucket, Key=self.where.prefix + name, Body=data)

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket=self.where.bucket, Key=self.where.prefix + name)
