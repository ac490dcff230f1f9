"""Unpacking a delivery in memory, so that a bomb is refused before it goes off. Nothing is ever written to a disk."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO

from pipeline.adapters.landing.refusals import Subject

#: How many times larger than its archive a file may be. Daily tables pack 3 to 20 times; a bomb 1,000 times.
RATIO = 100
#: Below this size no ratio is judged.
_SMALL = 1_000_000
_CHUNK = 1 << 16
_MEMBERS = 10_000
_GZIP, _ZIP = b"\x1f\x8b", b"PK"
_END_OF_ZIP, _END_LENGTH, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65_535


def unpack(data: bytes, suffix: str, inner: str, limit: int, subject: Subject) -> bytes:
    """The bytes inside ``.gz`` or ``.zip``; with any other suffix, ``data`` itself.

    Args:
        data: The file as delivered.
        suffix: The last suffix of the file's name.
        inner: The suffix that the file inside a zip must have, such as ``.csv``.
        limit: The most bytes that may come out.
        subject: Whose file it is, for the refusal.
    """
    if suffix == ".gz":
        plain = _gunzip(data, limit, subject)
    elif suffix == ".zip":
        plain = _unzip(data, inner, limit, subject)
    else:
        return data
    if plain[:2] == _GZIP or plain[:4] in (b"PK\x03\x04", _END_OF_ZIP):
        raise subject.refused("ARCHIVE", "is an archive within an archive", "ask upstream to pack the file once")
    return plain


def _bomb(subject: Subject, packed: int, plain: int) -> Exception:
    return subject.refused(
        "BOMB",
        f"unpacks to at least {plain:,} bytes from {packed:,}, more than {RATIO} times as much",
        "no table packs like that, so nothing was unpacked; ask upstream what it is",
    )


def _too_large(subject: Subject, limit: int) -> Exception:
    return subject.refused(
        "TOO_LARGE",
        f"unpacks to more than the {limit:,} bytes that are opened",
        "ask upstream what happened, or declare a larger 'bytes' for this table",
    )


def _check(subject: Subject, packed: int, plain: int, limit: int) -> None:
    if plain > _SMALL and plain > RATIO * packed:
        raise _bomb(subject, packed, plain)
    if plain > limit:
        raise _too_large(subject, limit)


def _gunzip(data: bytes, limit: int, subject: Subject) -> bytes:
    if not data.startswith(_GZIP):
        raise subject.refused("DAMAGED", "is no gzip file although its name says so")
    out = bytearray()
    members, at = 0, 0
    stream = zlib.decompressobj(wbits=31)
    try:
        while at < len(data):
            chunk = data[at : at + _CHUNK]
            at += len(chunk)
            while chunk:
                if stream.eof:
                    members += 1
                    if members > _MEMBERS:
                        raise _bomb(subject, at, len(out))
                    stream = zlib.decompressobj(wbits=31)
                # At most a mebibyte at a time, so that the ratio is judged long before the memory is full.
                out += stream.decompress(chunk, 1 << 20)
                _check(subject, at, len(out), limit)
                chunk = stream.unused_data if stream.eof else stream.unconsumed_tail
    except zlib.error as error:
        raise subject.refused("DAMAGED", f"is damaged: its gzip data break off in error ({error})") from None
    if not stream.eof:
        raise subject.refused("TRUNCATED", f"is cut short: its gzip data end too early, after {len(data):,} bytes")
    return bytes(out)


def _unzip(data: bytes, inner: str, limit: int, subject: Subject) -> bytes:
    end = data.rfind(_END_OF_ZIP, max(0, len(data) - _END_LENGTH - _LONGEST_COMMENT))
    if not data.startswith(_ZIP):
        raise subject.refused("DAMAGED", "is no zip file although its name says so")
    if end < 0 or len(data) < end + _END_LENGTH:
        raise subject.refused("TRUNCATED", f"is cut short: its zip directory is missing, after {len(data):,} bytes")
    # Looked up before the directory is parsed: a directory of a million members takes long and much memory.
    members = int.from_bytes(data[end + 10 : end + 12], "little")
    if members != 1:
        many = "more than 65,534" if members == 0xFFFF else f"{members:,}"
        raise subject.refused(
            "ARCHIVE", f"holds {many} files and must hold exactly one", "ask upstream to pack one file"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            (member,) = archive.infolist()
            _check_member(member, inner, subject)
            _check(subject, max(member.compress_size, 1), member.file_size, limit)
            with archive.open(member) as source:
                # A directory may lie about the size, so no more than it says is ever read.
                return _read(source, member.file_size, subject)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise subject.refused("DAMAGED", f"is damaged: its zip data can't be read ({error})") from None


def _read(source: IO[bytes], size: int, subject: Subject) -> bytes:
    plain = source.read(size + 1)
    if len(plain) != size:
        raise subject.refused("DAMAGED", f"is damaged: its zip directory says {size:,} bytes, there are others")
    return plain


def _check_member(member: zipfile.ZipInfo, inner: str, subject: Subject) -> None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or member.is_dir() or ":" in name.parts[0]:
        raise subject.refused("ARCHIVE", f"holds a file with a path that leads elsewhere ({member.filename[:80]!r})")
    if member.flag_bits & 0x1:
        raise subject.refused("ARCHIVE", "is encrypted", "ask upstream to pack it without a password")
    if name.suffix != inner:
        raise subject.refused("ARCHIVE", f"holds {name.name[:80]!r}, which is no {inner} file")
