from pathlib import Path

import pytest

from hypercode.sandbox.indexes import package_sources, pip_options


def test_files_and_variables_are_read_in_pips_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://one.example/simple\nfind_links = /nowhere\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert pip_options()["index-url"] == "https://one.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://two.example/simple")
    assert pip_options()["index-url"] == "https://two.example/simple"


def test_credentials_and_plain_http_are_left_out_and_folders_are_read_only(tmp_path: Path) -> None:
    folder = tmp_path / "index" / "simple"
    folder.mkdir(parents=True)
    urls = f"https://a.example/simple https://user:secret@b.example/simple http://c.example file://{folder}"
    found = package_sources({"extra-index-url": urls, "find-links": "/does/not/exist"})
    assert found.env == {"PIP_EXTRA_INDEX_URL": f"https://a.example/simple file://{folder}"}
    assert found.hosts == ["a.example"]
    assert [(mount.source, mount.read_only) for mount in found.mounts] == [(str(folder.parent), True)]
    assert len(found.notes) == 2
    assert "secret" not in "".join(found.notes)
