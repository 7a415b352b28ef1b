"""Where processes listen, and how clients ask them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hypercode.domain.address import authority, base_url, binding, unix_socket
from hypercode.settings import AddressSettings, Settings


def test_a_socket_and_a_url() -> None:
    path = Path("/run/tools.sock")
    assert (unix_socket(path), base_url(path, "tools"), authority(path, "tools")) == (
        "/run/tools.sock",
        "http://tools",
        "tools",
    )
    assert binding(path) == {"uds": "/run/tools.sock"}
    url = "http://tools.internal:8000/"
    assert (unix_socket(url), base_url(url, "tools"), authority(url, "tools")) == (
        None,
        "http://tools.internal:8000",
        "tools.internal:8000",
    )
    assert binding(url)["port"] == 8000


@pytest.mark.parametrize(
    "wrong", ["tools:8000", "http://tools", "https://tools:8000", "http://tools:8000/mcp"]
)
def test_what_is_no_address(wrong: str) -> None:
    with pytest.raises(ValidationError, match="http://host:port"):
        AddressSettings(tools=wrong)


def test_a_process_without_an_address_has_a_socket(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, address=AddressSettings(tools="http://tools:8000"))
    assert settings.address_of("tools") == "http://tools:8000"
    assert settings.address_of("sandboxd") == tmp_path / "run" / "sandboxd.sock"
    assert settings.keys_dir == tmp_path / "keys"
