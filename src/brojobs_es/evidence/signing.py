"""The deployment's own key, and the memory of what it signed last."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from brojobs_es.evidence.notes import Checkpoint, Note, NoteError
from brojobs_es.settings import Settings, prepare_data_dir

KEY_FILE: Final = "signing-key.pem"


class KeyFileError(OSError):
    """A key file that is missing or cannot be used; the message says which and why."""


def load_key(path: Path) -> Ed25519PrivateKey:
    """An Ed25519 private key out of an unencrypted PEM file; raises KeyFileError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyFileError(f"the key {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"{path} is not an unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is not an Ed25519 key")
    return key


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file, made on first use together with `<name>.pub`; processes that start together share one."""
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with suppress(FileExistsError):
            _placed(path, pem)
    key = load_key(path)
    with suppress(FileExistsError):
        _placed(path.with_suffix(".pub"), public_pem(key), mode=0o644)
    return key


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public half in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _placed(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put a new file there whole or not at all; FileExistsError where there is one."""
    if path.exists():
        raise FileExistsError(path)
    mine = _written(path, content, mode)
    try:
        os.link(mine, path)
    finally:
        mine.unlink()


def _written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    """A temporary file beside a path, on the disk; the caller gives it its name."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), mode)
    return Path(name)


def signing_with(settings: Settings) -> tuple[Callable[[], Ed25519PrivateKey], LastSigned]:
    """The deployment's key, to be asked for when it is needed, and what was signed with it. A given key is read at once.

    Raises KeyFileError; asking for the key may raise that or DataFolderError.
    """
    folder = settings.data_dir
    if settings.signing_key is not None:
        given = load_key(settings.signing_key)
        return (lambda: given), LastSigned(folder)
    return (lambda: load_or_make_key(prepare_data_dir(folder) / KEY_FILE)), LastSigned(folder)


class LastSigned:
    """The newest note that was signed for each log, in a file outside the database.

    Whoever puts an older database in place, or another one, does not get this process to sign it as if nothing had been.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, origin: str) -> Path:
        """Where the newest note for an origin is kept."""
        return self._folder / f"signed-{origin.replace('/', '-')}.txt"

    def read(self, origin: str) -> Checkpoint | None:
        """What was signed last for an origin; KeyFileError where the file holds something else."""
        path = self.path(origin)
        try:
            checkpoint = Checkpoint.parse(Note.parse(path.read_bytes()).text)
        except FileNotFoundError:
            return None
        except (OSError, NoteError) as error:
            raise KeyFileError(f"{path} does not hold the checkpoint that was signed last: {error}") from error
        if checkpoint.origin != origin:
            raise KeyFileError(f"{path} holds a checkpoint of {checkpoint.origin}")
        return checkpoint

    def write(self, origin: str, note: str) -> None:
        """Keep a note, on the disk when this returns."""
        path = self.path(origin)
        _written(path, note.encode()).replace(path)
