"""What ``builtin/repair`` says. It claims no more than the tests showed."""

import shlex

from hypercode.llm.repair_results import Patch, SearchResult, TestResult

START = (
    "I am builtin/repair: no language model, but a search for small faults in Python code that a failing test "
    "shows. I can't read your task's words. First I run the tests."
)
APPLIED = "The edit is in place. Now the whole test suite again."
OTHER_WAYS = (
    "Connect a model (an API key, Ollama or another URL) for anything that is not a small fault in one place."
)
SHOWN = 3
SHOWN_DIFF = 900


def tools_missing(names: list[str]) -> str:
    """The run's grant lacks tools that a repair needs."""
    return f"I can't work here: this run has no {', '.join(names)}. Nothing was changed."


def broken(failure: str, kept: bool) -> str:
    """A tool failed in a way that more searching won't mend."""
    state = "The edits so far are kept." if kept else "Nothing was repaired."
    return f"I had to stop, because a tool failed: {failure[:1500]}\n{state}"


def nothing_red(result: TestResult) -> str:
    """There is no failing test to search by."""
    if result.nothing_ran:
        head = "No test ran, so nothing tells me what is wrong."
    else:
        head = f"All {result.summary.passed} tests pass, so nothing tells me what is wrong."
    return f"{head} I changed nothing. I need a test that fails because of the fault. {OTHER_WAYS}"


def searching(red: list[str], *, again: bool) -> str:
    """Before a search."""
    head = "Still red" if again else "Red"
    return (
        f"{head}: {_named(red)}. I look where the failing tests go and try small edits there, in the sandbox."
    )


def applying(patch: Patch, rivals: int, tried: int) -> str:
    """Before the best patch is applied."""
    more = f" ({rivals} other {'edit does' if rivals == 1 else 'edits do'} so too)" if rivals else ""
    return f"After {tried} edits tried, one turns {_tests(len(patch.fixes))} green{more}. {patch.explanation}"


def undoing(patch: Patch, following: Patch | None) -> str:
    """The whole suite is not better with the patch."""
    then = f"Next: {following.explanation}" if following else "There is no other edit to try."
    return f"With that edit in {patch.path} the whole suite is not better, so I take it back. {then}"


def nothing_found(search: SearchResult | None, tried: int, elapsed_s: float, red: int) -> str:
    """The search came back empty, or nothing of it held."""
    if search is not None and search.status == "collect_error":
        head = f"The tests can't be collected, so I could not search. {search.message}".rstrip()
    elif tried == 0:
        head = (
            f"I found no fix: I saw no line of the project's own Python code that the {_red_tests(red)} "
            f"{'runs' if red == 1 else 'run'} and that I could change, so I tried nothing."
        )
    else:
        head = (
            f"I found no fix. I tried {tried} small edits in {elapsed_s:.1f} s; none turned the "
            f"{_red_tests(red)} green without breaking another. The fault may need several edits at once, or new code."
        )
    known = " ".join(search.notes) if search else ""
    return " ".join(part for part in (head, known, "Nothing is changed.", OTHER_WAYS) if part)


def repaired(
    kept: list[tuple[Patch, list[Patch]]],
    first: TestResult,
    last: TestResult,
    search: SearchResult | None,
    tried: int,
    elapsed_s: float,
) -> str:
    """What was changed, what it showed, what else would have passed, and how sure that is."""
    parts = [f"{_edits(len(kept))}, found after {tried} tried in {elapsed_s:.1f} s:"]
    parts += [f"- {patch.explanation or patch.path}" for patch, _ in kept]
    parts.append(_shown(first, last))
    if last.red:
        parts += _why_red(last.red, search)
    rivals = [other for _, others in kept for other in others]
    if rivals:
        parts.append(
            f"How sure: the tests can't tell this from {len(rivals)} other "
            f"{'edit that also passes' if len(rivals) == 1 else 'edits that also pass'}, so read it before you trust it:"
        )
        parts += [f"- {other.explanation}\n{_code(other.diff)}" for other in rivals[:SHOWN]]
    else:
        parts.append(
            "How sure: no other edit that I tried passes these tests. Still, tests are all I know of your intent: "
            "an edit can satisfy them and be wrong, so read it."
        )
    return "\n".join(parts)


def _why_red(red: list[str], search: SearchResult | None) -> list[str]:
    """Which tests stay red, what is known of them, and how the rest can be judged without them."""
    lines = [f"Still red, before and after: {_named(red)}. So the whole is not proved fixed."]
    lines += [f"- {note}" for note in (search.notes if search else []) if note.startswith(tuple(red))]
    if len(red) <= SHOWN:
        left_out = " ".join(f"--deselect {shlex.quote(test)}" for test in red)
        lines.append(
            f"If {'it is' if len(red) == 1 else 'they are'} not part of the task, have the rest judged without: "
            f'--check "python -m pytest {left_out}"'
        )
    return lines


def _named(tests: list[str]) -> str:
    return ", ".join(tests[:SHOWN]) + (f" and {len(tests) - SHOWN} more" if len(tests) > SHOWN else "")


def _shown(first: TestResult, last: TestResult) -> str:
    now_green = first.red_count - last.red_count
    verb = "passes" if now_green == 1 else "pass"
    if last.red_count:
        return (
            f"{_tests(now_green)} that failed {verb} now, of {first.red_count}; I found no edit for the rest."
        )
    return f"{_tests(now_green)} that failed {verb} now, and so does the whole suite ({last.summary.passed} passed)."


def _code(diff: str) -> str:
    body = "\n".join(line for line in diff.splitlines() if not line.startswith(("---", "+++")))
    return f"```diff\n{body[:SHOWN_DIFF]}\n```"


def _edits(count: int) -> str:
    return "One small edit" if count == 1 else f"{count} small edits"


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _red_tests(count: int) -> str:
    return "failing test" if count == 1 else f"{count} failing tests"
