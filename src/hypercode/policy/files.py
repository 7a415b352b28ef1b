"""Where policies come from: the built-in one from the package, another from a file. The one file of this room that reads."""

from importlib.resources import files
from pathlib import Path

from hypercode.domain.errors import InvalidPolicy
from hypercode.policy.form import CaseForm
from hypercode.policy.parse import parse_policy
from hypercode.policy.rules import Policy

BUILT_IN_TEXT = (files("hypercode.policy") / "built_in.yaml").read_text(encoding="utf-8")
BUILT_IN, BUILT_IN_CASES = parse_policy(BUILT_IN_TEXT, "built_in.yaml", None)
"""What holds when nobody wrote another policy, and the table that it is held against."""


def load_policy(path: Path | None) -> Policy:
    """The policy of a file, or the built-in one where there is none; raises InvalidPolicy."""
    return BUILT_IN if path is None else load_policy_and_cases(path)[0]


def load_policy_and_cases(path: Path) -> tuple[Policy, tuple[CaseForm, ...]]:
    """A file's policy, and the test table in it; raises InvalidPolicy."""
    return parse_policy(read_text(path), str(path), BUILT_IN)


def read_text(path: Path) -> str:
    """A file's text; raises InvalidPolicy when it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidPolicy(
            f"{path} can't be read: {error.strerror}", hint="HYPERCODE_POLICY_FILE names the file that holds."
        ) from None
    except UnicodeDecodeError:
        raise InvalidPolicy(f"{path} is not UTF-8 text", hint="A policy is YAML.") from None
