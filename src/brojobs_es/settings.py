"""The settings of a deployment: environment variables `BROJOBS_…`, read and judged once, before anything starts."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "BROJOBS_"
_TEST_PREFIXES: Final = ("BROJOBS_TEST_", "BROJOBS_BENCH_")
_MEGABYTE: Final = 1_000_000

_log = logging.getLogger(__name__)


def default_data_dir() -> Path:
    """`/var/tmp/brojobs-<uid>`: outlives a reboot, needs no rights, and its parents can be entered by anybody.

    The last matters when the service runs as root: the embedded PostgreSQL then runs as a user of its own, which could
    not reach a folder inside a home directory or a private checkout.
    """
    return Path(f"/var/tmp/brojobs-{os.getuid()}")  # noqa: S108  (the reason stands above; ownership is checked)


class SettingsError(Exception):
    """Variables of the environment have values that cannot be used; one line names each."""


class Settings(BaseSettings):
    """What a deployment may choose."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a database URL holds a password
        validate_default=False,
    )

    database_url: str | None = Field(
        default=None,
        repr=False,
        description="PostgreSQL 15 to 18 as a connection URI; several hosts are allowed. Without it the service starts "
        "an embedded PostgreSQL 18 in the data folder.",
    )
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Folder of files of more than 64 KiB, of the embedded database and of the sandbox key. Run as root, the "
        "database is another user's, and parent folders that are closed to others are opened for passing through.",
    )
    logs: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Into how many logs orders are spread. Fixed when the database is first migrated.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address that the service listens on.")
    port: int = Field(default=8000, ge=1, le=65535, description="TCP port that the service listens on.")
    workers: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="How many processes answer requests, beside one that keeps views, timers and evidence. Without it, a "
        "single process does everything.",
    )
    public_url: str | None = Field(
        default=None,
        description="Address under which clients reach the service, used in links and in the `type` of errors. Without "
        "it, `http://HOST:PORT`.",
    )
    jwks: str | None = Field(
        default=None,
        description="Public keys of those who issue tokens: a JWKS file or an http(s) URL, read again when it changes.",
    )
    jwt_issuer: str | None = Field(default=None, min_length=1, description="If set, tokens must carry this `iss`.")
    jwt_audience: str | None = Field(default=None, min_length=1, description="If set, tokens must carry this `aud`.")
    commission_bps: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="The platform's share of the seller's part, in basis points (100 = 1 %), for orders placed from now.",
    )
    max_body_bytes: int = Field(
        default=256 * 1024, ge=1024, le=16 * 1024 * 1024, description="Largest JSON body of a request, in bytes."
    )
    max_file_bytes: int = Field(
        default=50 * _MEGABYTE, ge=1, le=5_000 * _MEGABYTE, description="Largest file of an order, in bytes."
    )
    master_key: Path | None = Field(
        default=None,
        description="File with 64 hexadecimal digits: the key that wraps people's keys in the database, so that the "
        "database alone opens nothing that a person wrote. Losing it loses all of that.",
    )
    retention_days: int = Field(
        default=3653,
        ge=0,
        le=36_525,
        description="For how many days after its end an order must be kept as it is: until then nobody's part in it is "
        "erased. The default is ten years.",
    )
    deployment: str = Field(
        default="brojobs",
        pattern=r"^[a-z0-9]([a-z0-9./-]{0,98}[a-z0-9])?$",
        description="Name of the deployment in its signed checkpoints, like `orders.example.com`. Not to be changed later.",
    )
    signing_key: Path | None = Field(
        default=None,
        description="PEM file of the Ed25519 key that signs checkpoints and case files; all processes of a deployment "
        "share it. Without it, `signing-key.pem` in the data folder, made on first use.",
    )
    witnesses: str = Field(
        default="",
        description="Public keys of the witnesses whose cosignatures are taken, as `name+id+base64`, separated by commas.",
    )
    tsa_url: str | None = Field(
        default=None,
        description="http(s) address of a time stamping authority (RFC 3161) that stamps the signed checkpoints. Without "
        "it, nothing is stamped.",
    )
    tsa_roots: Path | None = Field(
        default=None,
        description="PEM file of the root certificates of accepted authorities. Without it, whoever signed a stamp is "
        "kept but not checked.",
    )
    tsa_minutes: int = Field(
        default=60,
        ge=1,
        le=10_080,
        description="At most one stamp of a log in so many minutes, and only where there is a new checkpoint.",
    )
    language: Literal["fr", "en"] = Field(
        default="fr", description="Language for whoever does not say which one they read."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe lines that the service logs."
    )

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("must be a connection URI, postgresql://…")
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be an http(s) address without query or fragment")
        return value.rstrip("/")

    @field_validator("jwks")
    @classmethod
    def _is_a_key_source(cls, value: str | None) -> str | None:
        if value is not None and "://" in value and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("must be a file path or an http(s) URL")
        return value

    @field_validator("tsa_url")
    @classmethod
    def _is_an_authority(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc):
            raise ValueError("must be an http(s) address")
        return value

    @field_validator("language", "log_level", mode="before")
    @classmethod
    def _in_lower_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def from_environment(cls) -> Self:
        """Read the process's environment and warn about names that look like ours but are not.

        Raises SettingsError, with a line for each wrong variable and without the values, which may be secret.
        """
        for line in misspelt(os.environ):
            _log.warning("%s", line)
        try:
            return cls()
        except ValidationError as error:
            wrong = (f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors())
            raise SettingsError("\n".join(wrong)) from None

    @property
    def base_url(self) -> str:
        """Where clients find the service, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  (compared, not bound)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """One sentence for each variable `BROJOBS_…` that is no setting, with the setting it may have meant."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    lines = []
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name.upper() in known or name.upper().startswith(_TEST_PREFIXES):
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
        lines.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return lines


class DataFolderError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


def prepare_data_dir(folder: Path) -> Path:
    """Make the data folder if it is missing and return it; DataFolderError if it is somebody else's or no folder.

    Under `/var/tmp` anybody could have made a folder of that name first, and would then own our keys and files.
    """
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise DataFolderError(f"{folder} cannot be made or read: {error.strerror}. Set BROJOBS_DATA_DIR.") from error
    if not folder.is_dir():
        raise DataFolderError(f"{folder} is not a folder. Set BROJOBS_DATA_DIR.")
    if found.st_uid != os.getuid():
        raise DataFolderError(f"{folder} belongs to another user. Set BROJOBS_DATA_DIR to a folder of your own.")
    if found.st_mode & 0o022:
        raise DataFolderError(f"{folder} can be written by others. Take that right away (chmod go-w).")
    return folder


def settings_table() -> str:
    """The settings as a Markdown table: name, default, meaning, in the order of this module."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        text = "/var/tmp/brojobs-UID" if name == "data_dir" else field.default  # noqa: S108  (a text for people)
        shown = "—" if text is None else f"`{text}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description}{_bounds(name)} |")
    return "\n".join(rows) + "\n"


def _bounds(name: str) -> str:
    """The allowed values of a setting as the end of its description."""
    field = Settings.model_fields[name]
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    limits = {key: getattr(rule, key) for rule in field.metadata for key in ("ge", "le") if hasattr(rule, key)}
    return f" From {limits['ge']} to {limits['le']}." if len(limits) == 2 else ""
