"""Cedar judges ours: random policies of the allow and forbid part, written in both languages, decide alike.

The vocabulary is small on purpose, so that calls and rules meet often. What Cedar has no words for (asking a person,
any case, flags in clusters) is held by the tables beside this. Cedar has no "all of these" over a pattern, so a call
names at most two of a kind, and each has an attribute of its own.
"""

import json
from collections.abc import Callable, Sequence

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.policy.decide import Allow, decide_for_role
from hypercode.policy.matchers import Matchers
from hypercode.policy.rules import Effect, Policy, Rule

TOOLS = ("fs_write", "sh_exec", "container_run")
ROLES = (AgentRole.CODER, AgentRole.REVIEWER)
SEGMENTS = st.sampled_from(("a", "b", "ab", "x.py"))
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
HOSTS = ("example.org", "a.example.org", "b.a.example.org", "evilexample.org")
WORDS = ("git", "push", "-f", "--force", "x")
SIZES = st.integers(0, 4)


def quoted(text: str) -> str:
    return json.dumps(text)


# A glob in both languages: its text, and a Cedar condition on an expression. None of the fixed beginnings has a folder
# above it that a call could name, since a forbid of ours also catches those.
def exact(path: str) -> tuple[str, Callable[[str], str]]:
    return path, lambda it: f"{it} == {quoted(path)}"


def below(folder: str) -> tuple[str, Callable[[str], str]]:
    return (
        f"**/{folder}/**",
        lambda it: f"({it} like {quoted(folder + '/*')} || {it} like {quoted(f'*/{folder}/*')})",
    )


def anywhere(name: str) -> tuple[str, Callable[[str], str]]:
    return f"**/{name}", lambda it: f"({it} == {quoted(name)} || {it} like {quoted('*/' + name)})"


def at_the_top(end: str) -> tuple[str, Callable[[str], str]]:
    return f"*{end}", lambda it: f'({it} like {quoted("*" + end)} && !({it} like "*/*"))'


GLOBS = st.one_of(
    SEGMENTS.map(exact),
    SEGMENTS.map(below),
    PATHS.map(anywhere),
    st.sampled_from((".py", "b", "")).map(at_the_top),
    st.just(("**", lambda it: "true")),
)
HOST_FORMS = st.sampled_from((*HOSTS, "*.example.org", "*.a.example.org"))


def host_condition(host: str, it: str) -> str:
    return f"{it} like {quoted(host)}" if host.startswith("*") else f"{it} == {quoted(host)}"


def named(kind: str, conditions: Sequence[Callable[[str], str]], effect: Effect) -> str:
    """Any of the conditions, on any named thing for a forbid, on all of them for an allow."""

    def fits(it: str) -> str:
        return "(" + " || ".join(condition(it) for condition in conditions) + ")"

    first, second = (f"(context has {kind}{n} && {fits(f'context.{kind}{n}')})" for n in (0, 1))
    if effect is Effect.FORBID:
        return f"({first} || {second})"
    return f"({first} && (!(context has {kind}1) || {second}))"


@st.composite
def rules(draw: st.DrawFn, number: int) -> tuple[AgentRole, Rule, str]:
    """A rule of ours and the same one of Cedar's."""
    role = draw(st.sampled_from(ROLES))
    effect = draw(st.sampled_from((Effect.ALLOW, Effect.ALLOW, Effect.FORBID)))
    tools = draw(st.frozensets(st.sampled_from(TOOLS), min_size=1))
    matchers: dict[str, object] = {}
    conditions: list[str] = []
    if draw(st.booleans()):
        globs = draw(st.lists(GLOBS, min_size=1, max_size=3))
        matchers["paths"] = tuple(text for text, _ in globs)
        conditions.append(named("path", [condition for _, condition in globs], effect))
    if draw(st.integers(0, 2)) == 0:
        hosts = draw(st.lists(HOST_FORMS, min_size=1, max_size=2))
        matchers["hosts"] = tuple(hosts)
        conditions.append(
            named("host", [lambda it, host=host: host_condition(host, it) for host in hosts], effect)
        )
    if draw(st.integers(0, 2)) == 0:
        least, most = sorted((draw(SIZES), draw(SIZES)))
        matchers["size"] = {"min": least, "max": most}
        conditions.append(f"(context has size && context.size >= {least} && context.size <= {most})")
    if draw(st.integers(0, 2)) == 0:
        form = {
            name: tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2)))
            for name in draw(st.sets(st.sampled_from(("has_all", "has_any", "has_none")), min_size=1))
        }
        matchers["argv"] = (form,)
        conditions.append(argv_condition(form))
    if draw(st.integers(0, 3)) == 0:
        ref = draw(GLOBS)
        matchers["ref"] = (ref[0],)
        conditions.append(f"(context has ref && {ref[1]('context.ref')})")
    rule = Rule(f"r{number}", effect, tools, Matchers.model_validate(matchers))
    actions = ", ".join(f'Action::"{tool}"' for tool in sorted(tools))
    head = "permit" if effect is Effect.ALLOW else "forbid"
    when = f" when {{ {' && '.join(conditions)} }}" if conditions else ""
    return role, rule, f'{head}(principal == Role::"{role}", action in [{actions}], resource){when};'


def argv_condition(form: dict[str, tuple[str, ...]]) -> str:
    """The first word is the program; the forms look at the words after it."""
    tests = {
        "has_all": "context.words.containsAll({})",
        "has_any": "context.words.containsAny({})",
        "has_none": "!context.words.containsAny({})",
    }
    said = [tests[name].format("[" + ", ".join(map(quoted, words)) + "]") for name, words in form.items()]
    return "(context has words && " + " && ".join(said) + ")"


@st.composite
def policies(draw: st.DrawFn) -> tuple[Policy, str]:
    drawn = [draw(rules(number)) for number in range(draw(st.integers(1, 4)))]
    ours = {role: tuple(rule for of, rule, _ in drawn if of is role) for role in ROLES}
    return Policy("random", 1, ours), "\n".join(text for _, _, text in drawn)


CALLS = st.builds(
    lambda tool, paths, hosts, words, ref, size: ToolCall(
        tool,
        Touched(tuple(paths), ("run", *words) if words else (), None, tuple(hosts), ref, (), size),
    ),
    st.sampled_from(TOOLS),
    st.lists(PATHS, max_size=2),
    st.lists(st.sampled_from(HOSTS), max_size=2),
    st.lists(st.sampled_from(WORDS), max_size=3),
    st.none() | PATHS,
    st.none() | SIZES,
)


def request(role: AgentRole, call: ToolCall) -> dict[str, object]:
    touched = call.touched
    context: dict[str, object] = {f"path{n}": path for n, path in enumerate(touched.paths)}
    context |= {f"host{n}": host for n, host in enumerate(touched.hosts)}
    context |= {"words": list(touched.argv[1:])} if touched.argv else {}
    context |= {name: value for name in ("ref", "size") if (value := getattr(touched, name)) is not None}
    return {
        "principal": f'Role::"{role}"',
        "action": f'Action::"{call.tool}"',
        "resource": 'Run::"r"',
        "context": context,
    }


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(policies(), st.lists(CALLS, min_size=2, max_size=4))
def test_cedar_decides_alike(policy: tuple[Policy, str], calls: list[ToolCall]) -> None:
    ours, cedar = policy
    asked = [(role, call) for role in ROLES for call in calls]
    judged = cedarpy.is_authorized_batch([request(role, call) for role, call in asked], cedar, [])
    for (role, call), result in zip(asked, judged, strict=True):
        assert result.diagnostics.errors == []
        decision = decide_for_role(call, role, ours)
        assert isinstance(decision, Allow) == result.allowed, (role, call, decision, cedar)
