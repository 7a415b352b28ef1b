from pathlib import Path

import pytest
from tests.sandbox.conftest import git

from hypercode.domain.errors import InvalidArgument
from hypercode.sandbox.sources import checked_commit, checked_url, local_source


def test_repository_folder_and_bare_repository(repository: Path, tmp_path: Path) -> None:
    assert local_source(str(repository)).kind == "repository"
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    assert local_source(str(tmp_path / "bare")).kind == "repository"
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "x").write_text("")
    assert local_source(str(plain)).kind == "folder"


def test_linked_work_tree_shows_its_repository(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    mounts = local_source(str(tmp_path / "linked")).mounts
    assert [mount.source for mount in mounts] == [str(tmp_path / "linked"), str(repository / ".git")]
    assert all(mount.read_only for mount in mounts)


def test_folder_inside_a_repository_is_a_plain_folder_and_says_so(repository: Path) -> None:
    found = local_source(str(repository / "tests"))
    assert found.kind == "folder"
    assert found.note == f"a folder inside the repository {repository}, whose history is left out"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("relative", "not an absolute path"),
        ("/no/such/place", "does not exist"),
        ("{repository}/calc.py", "is a file"),
        ("{empty}", "is empty"),
        ("/", "root of the file system"),
    ],
)
def test_what_can_not_be_imported_says_why(repository: Path, tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgument, match=words) as refused:
        local_source(path.format(repository=repository, empty=tmp_path / "empty"))
    assert refused.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "ssh://git@example.org/x",
        "file:///etc",
        "https://a:b@example.org/x",
        "https://127.0.0.1/x",
    ],
)
def test_refused_urls(url: str) -> None:
    with pytest.raises(InvalidArgument):
        checked_url(url)


@pytest.mark.parametrize("commit", ["--upload-pack=x", "a b", "", "x:y", "a\n"])
def test_refused_commits(commit: str) -> None:
    with pytest.raises(InvalidArgument):
        checked_commit(commit)
