import os
from pathlib import Path

from hypercode.sandbox.runner.test_imports import missing, test_texts
from hypercode.sandbox.runner.written import written

test_texts.__test__ = False  # type: ignore[attr-defined]


def test_only_new_modules_are_kept(tmp_path: Path) -> None:
    for name in (
        "old.py",
        "src/x/_version.py",
        "src/x/fast.so",
        "build/lib.py",
        "x.egg-info/y.py",
        "data.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        os.utime(path, (2000, 2000))
    os.utime(tmp_path / "old.py", (1000, 1000))
    assert written(str(tmp_path), 1500.0) == ["src/x/_version.py", "src/x/fast.so"]


def test_imports_of_tests_ask_for_known_packages_only(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        "import freezegun\nfrom evil_name import y\ndef test_a(mocker): ...\n"
    )
    (tmp_path / "module.py").write_text("import responses\n")
    assert missing(test_texts(str(tmp_path))) == ["freezegun", "pytest-mock"]
