"""What each matcher takes, and how it reads what can be read in two ways."""

import time

import pytest

from hypercode.domain.tool_call import Touched
from hypercode.policy.globs import any_glob, checked_path_glob, path_pattern
from hypercode.policy.images import ImageName, read_image
from hypercode.policy.matchers import Matchers
from hypercode.policy.matching import conditions_of

DIGEST = "sha256:" + "a" * 64


def matched(matchers: dict[str, object], touched: Touched, *, grants: bool = False) -> bool:
    conditions = conditions_of(Matchers.model_validate(matchers), grants=grants)
    return all(condition(touched) for _, condition in conditions)


@pytest.mark.parametrize(
    ("glob", "taken", "left"),
    [
        ("*.py", ["a.py", ".py"], ["a/b.py", "a.pyc"]),
        ("docs/*", ["docs/a"], ["docs", "docs/a/b"]),
        ("docs/**", ["docs/a", "docs/a/b"], ["docs", "docsx/a", "x/docs/a"]),
        ("**/.git", [".git", "a/.git", "a/b/.git"], ["a.git", ".git/x", ".gitx"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab"]),
        ("**/a/**/b", ["a/b", "x/a/y/b", "a/a/b/b"], ["b", "a/b/c"]),
        ("**", ["a", "a/b"], []),
        ("?.txt", ["a.txt"], [".txt", "ab.txt", "/.txt"]),
        ("a*b*b", ["abb", "abxb", "axxbbb"], ["ab", "abbc"]),
        ("x.y", ["x.y"], ["xzy"]),
    ],
)
def test_globs(glob: str, taken: list[str], left: list[str]) -> None:
    assert [path for path in taken if not path_pattern(glob).fullmatch(path)] == []
    assert [path for path in left if path_pattern(glob).fullmatch(path)] == []


@pytest.mark.parametrize(
    "glob", ["", "/etc", "../x", "a/../b", "./a", "a//b", "a/", "~/x", "a**", "**b/c", "[ab]", "{a,b}", "a\\b", "*a" * 9, "a\nb", "**/**/**/**"]
)  # fmt: skip
def test_bad_globs(glob: str) -> None:
    with pytest.raises(ValueError, match=r"glob|alone"):
        checked_path_glob(glob)


@pytest.mark.parametrize("glob", ["**/a/**/a/**/b", "*a*a*a*a*a*a*ab", "**/a*a/**/*a*a/**/b"])
@pytest.mark.parametrize("path", ["a/" * 2047 + "a", "a" * 4096, "aa/" * 1300 + "a"])
def test_no_path_makes_a_glob_slow(glob: str, path: str) -> None:
    # A way back for each star would take hours; this leaves room for a busy machine.
    started = time.perf_counter()
    any_glob((checked_path_glob(glob),)).fullmatch(path)
    assert time.perf_counter() - started < 1


def test_folders_above_a_glob_and_case_are_read_against_the_call() -> None:
    paths = {"paths": (".github/workflows/**", "ci/x.yml", "**/.git")}
    for path in (".github", ".github/workflows", ".GITHUB/Workflows/a.yml", "ci", "a/.GIT"):
        assert matched(paths, Touched(paths=(path,)))
        assert not matched(paths, Touched(paths=(path,)), grants=True)
    for path in ("", ".", "git", ".github/x", "cix", "x/ci"):
        assert not matched(paths, Touched(paths=(path,)))


@pytest.mark.parametrize(
    ("form", "argv", "forbid", "allow"),
    [
        ({"program": ["git"]}, ["git", "push"], True, True),
        ({"program": ["git"]}, ["/usr/bin/git", "push"], True, False),
        ({"program": ["git"]}, ["./git"], True, False),
        ({"program": ["python3*"]}, ["python3.13", "-V"], True, True),
        ({"program": ["git"]}, ["sh", "-c", "git push"], False, False),
        ({"program": ["git"], "positional": ["push"]}, ["git", "--no-pager", "push", "origin"], True, True),
        ({"program": ["git"], "positional": ["push"]}, ["git", "-C", "x", "push"], False, False),
        ({"positional": ["install", "*"]}, ["pip", "install"], False, False),
        ({"has_any": ["-f", "--force"]}, ["git", "push", "--force=x"], True, True),
        ({"has_any": ["-f", "--force"]}, ["rm", "-rf", "x"], True, True),
        ({"has_any": ["-f"]}, ["rm", "--", "-rf"], False, False),
        ({"has_any": ["-f"]}, ["x", "--f"], False, False),
        ({"has_all": ["-r", "-f"]}, ["rm", "-r", "x"], False, False),
        ({"has_all": ["-r", "-f"]}, ["rm", "-rf"], True, True),
        ({"program": ["pip"], "has_none": ["--user", "-i"]}, ["pip", "install", "x"], True, True),
        (
            {"program": ["pip"], "has_none": ["--user", "-i"]},
            ["pip", "install", "-ihttps://x", "x"],
            False,
            False,
        ),
    ],
)
def test_argv(form: dict[str, list[str]], argv: list[str], forbid: bool, allow: bool) -> None:
    argv_form = {"argv": ({name: tuple(words) for name, words in form.items()},)}
    assert matched(argv_form, Touched(argv=tuple(argv))) is forbid
    assert matched(argv_form, Touched(argv=tuple(argv)), grants=True) is allow
    assert not matched(argv_form, Touched())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("python", ImageName("docker.io", "library/python", "latest", "")),
        ("python:3.13-slim", ImageName("docker.io", "library/python", "3.13-slim", "")),
        ("a/b", ImageName("docker.io", "a/b", "latest", "")),
        ("ghcr.io/a/b:1", ImageName("ghcr.io", "a/b", "1", "")),
        ("localhost:5000/a", ImageName("localhost:5000", "a", "latest", "")),
        (f"a/b@{DIGEST}", ImageName("docker.io", "a/b", "", DIGEST)),
        (f"a/b:1@{DIGEST}", ImageName("docker.io", "a/b", "1", DIGEST)),
        (DIGEST, ImageName("", "", "", DIGEST)),
        ("A/b", None), ("a b", None), ("a:", None), ("-x", None), ("", None), ("a@sha256:1", None), ("a//b", None),
    ],
)  # fmt: skip
def test_names_of_images(text: str, name: ImageName | None) -> None:
    assert read_image(text) == name


def test_images() -> None:
    python = {"image": ({"registry": "docker.io", "name": "library/python", "tag": "3.*"},)}
    assert matched(python, Touched(image="python:3.13"), grants=True)
    for other in ("python:4", "ghcr.io/library/python:3.1", "evil/python:3.1", None):
        assert not matched(python, Touched(image=other), grants=True)
    assert matched({"image": ({"pinned": True},)}, Touched(image=f"a@{DIGEST}"), grants=True)
    assert not matched({"image": ({"pinned": True},)}, Touched(image="a"), grants=True)
    assert matched({"image": ({"digest": DIGEST},)}, Touched(image=DIGEST), grants=True)
    # What is no image's name is allowed by nothing, and caught by all that forbids.
    assert not matched({"image": ({"registry": "**"},)}, Touched(image="A B"), grants=True)
    assert matched({"image": ({"registry": "x.org"},)}, Touched(image="A B"))


def test_hosts_refs_secrets_and_sizes() -> None:
    hosts = {"hosts": ("pypi.org", "*.example.org")}
    for host in ("pypi.org", "PyPI.org.", "a.example.org", "a.b.example.org"):
        assert matched(hosts, Touched(hosts=(host,)), grants=True)
    for host in ("example.org", "xpypi.org", "a.pypi.org", "evilexample.org", ".example.org", ""):
        assert not matched(hosts, Touched(hosts=(host,)))
    assert not matched(hosts, Touched(hosts=("pypi.org", "evil.org")), grants=True)
    assert matched(hosts, Touched(hosts=("pypi.org", "evil.org")))
    assert matched({"ref": ("release/*", "main")}, Touched(ref="release/1"), grants=True)
    assert not matched({"ref": ("release/*", "main")}, Touched(ref="release/1/x"))
    assert matched({"secrets": ("PROD_*",)}, Touched(secrets=("DEV", "PROD_KEY")))
    assert not matched({"secrets": ("PROD_*",)}, Touched(secrets=("DEV", "PROD_KEY")), grants=True)
    sizes = [matched({"size": {"min": 2, "max": 4}}, Touched(size=size)) for size in (None, 1, 2, 4, 5)]
    assert sizes == [False, False, True, True, False]
    assert matched({"size": {"min": 2}}, Touched(size=10**12))
    assert matched({"size": {"max": 2}}, Touched(size=0))


def test_every_matcher_of_a_rule_has_to_match() -> None:
    both = {"paths": ("a/**",), "size": {"min": 10}}
    assert matched(both, Touched(paths=("a/x",), size=10))
    assert not matched(both, Touched(paths=("a/x",), size=9))
    assert not matched(both, Touched(paths=("b/x",), size=10))
    assert matched({}, Touched())
