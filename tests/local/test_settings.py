from pathlib import Path

import pytest

from local.settings import LocalError, LocalSettings


def test_without_variables_the_system_lives_in_dot_local_on_the_default_port() -> None:
    settings = LocalSettings.from_env({})
    assert settings.directory == settings.repository / ".local"
    assert settings.endpoint_url == f"http://127.0.0.1:{settings.port}"


@pytest.mark.parametrize("port", ["80", "65536", "http", "-1"])
def test_a_bad_port_is_named_with_what_is_allowed(port: str) -> None:
    with pytest.raises(LocalError, match=f"WORDSIGHT_LOCAL_PORT is '{port}'.*from 1024 to 65535"):
        LocalSettings.from_env({"WORDSIGHT_LOCAL_PORT": port})


def test_a_running_system_is_found_on_the_port_it_was_started_with(tmp_path: Path) -> None:
    settings = LocalSettings.from_env({"WORDSIGHT_LOCAL_DIR": str(tmp_path), "WORDSIGHT_LOCAL_PORT": "5001"})
    settings.port_file.write_text("5001")
    assert LocalSettings.from_env({"WORDSIGHT_LOCAL_DIR": str(tmp_path)}).port == 5001
