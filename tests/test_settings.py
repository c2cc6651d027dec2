from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from brojobs_es.settings import DataFolderError, Settings, SettingsError, misspelt, prepare_data_dir, settings_table

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("BROJOBS_"):
            monkeypatch.delenv(name)


def test_nothing_has_to_be_set() -> None:
    """Without a single variable there is a deployment: embedded database, one log, French, no commission."""
    made = Settings.from_environment()
    assert (made.database_url, made.logs, made.language, made.commission_bps) == (None, 1, "fr", 0)
    assert (made.max_body_bytes, made.max_file_bytes) == (262_144, 50_000_000)
    assert made.data_dir == Path(f"/var/tmp/brojobs-{os.getuid()}")


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every variable arrives with its type; an empty one counts as not set."""
    for name, value in {
        "DATABASE_URL": "postgresql://u:p@a,b/db?target_session_attrs=read-write", "DATA_DIR": str(tmp_path), "LOGS": "3",
        "HOST": "::1", "LANGUAGE": "EN", "PUBLIC_URL": "https://orders.example/", "JWT_ISSUER": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"BROJOBS_{name}", value)
    monkeypatch.setenv("BROJOBS_PORT", "9000")
    made = Settings.from_environment()
    assert (made.logs, made.port, made.language, made.data_dir, made.jwt_issuer) == (3, 9000, "en", tmp_path, None)
    assert made.base_url == "https://orders.example"
    assert made.database_url is not None
    assert "u:p@" not in repr(made)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:secret@h/db"), ("DATABASE_URL", "secret"), ("LOGS", "0"), ("LOGS", "65"), ("LOGS", "one"),
        ("PORT", "0"), ("PORT", "70000"), ("COMMISSION_BPS", "-1"), ("COMMISSION_BPS", "10001"), ("COMMISSION_BPS", "1.5"),
        ("LANGUAGE", "de"), ("LOG_LEVEL", "loud"), ("PUBLIC_URL", "orders.example"), ("PUBLIC_URL", "https://a/?b"),
        ("JWKS", "ftp://a/b"), ("MAX_BODY_BYTES", "10"), ("MAX_FILE_BYTES", "0"),
    ],
)  # fmt: skip
def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A value that cannot be meant stops the start, with the variable's name and without what may be a password."""
    monkeypatch.setenv(f"BROJOBS_{name}", value)
    with pytest.raises(SettingsError, match=f"BROJOBS_{name}: ") as caught:
        Settings.from_environment()
    assert "secret" not in str(caught.value)


def test_a_misspelt_name_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A variable that is no setting is warned about, with the one that it resembles; tests have names of their own."""
    monkeypatch.setenv("BROJOBS_COMMISION_BPS", "500")
    monkeypatch.setenv("BROJOBS_TEST_DATABASE_URL", "x")
    with caplog.at_level(logging.WARNING):
        Settings.from_environment()
    assert caplog.messages == ["BROJOBS_COMMISION_BPS is not a setting; did you mean BROJOBS_COMMISSION_BPS?"]
    assert misspelt({"BROJOBS_XYZZY": "", "OTHER": "", "BROJOBS_PORT": ""}) == ["BROJOBS_XYZZY is not a setting"]


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8000"), ("0.0.0.0", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000")],
)
def test_the_address_for_clients(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    """Without a public address, links lead to where the service listens, in a form that a browser takes."""
    monkeypatch.setenv("BROJOBS_HOST", host)
    assert Settings.from_environment().base_url == url


def test_the_data_folder(tmp_path: Path) -> None:
    """The data folder is made when missing, and refused when it is a file or when others may write into it."""
    folder = prepare_data_dir(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert prepare_data_dir(folder) == folder
    folder.chmod(0o777)
    with pytest.raises(DataFolderError, match="written by others"):
        prepare_data_dir(folder)
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataFolderError):
            prepare_data_dir(wrong)


def test_the_data_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another user made first is not ours to use."""
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    with pytest.raises(DataFolderError, match="another user"):
        prepare_data_dir(tmp_path)


def test_the_page_of_settings_is_current() -> None:
    """The documentation lists exactly the settings that the program has."""
    assert settings_table() in PAGE.read_text(encoding="utf-8")
