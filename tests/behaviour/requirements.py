"""What HyperCode promises, one id a promise, tied both ways to the tests that hold it.

``source`` is the issue or the document the promise comes from. A promise without a test, or a behaviour test
without a promise, fails ``test_requirements.py``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """A promise in one sentence."""

    sentence: str
    source: str


REQUIREMENTS = {
    "web:words": Requirement(
        "What a model says grows on the run's page while it says it, and begins anew when its worker was killed.",
        "issue:#5",
    ),
    "run:fixed": Requirement(
        "A small fault that a failing test shows is fixed with no key and no network, and graded `fixed`.",
        "issue:#2",
    ),
    "run:dependencies": Requirement(
        "A project with third-party packages works on its first day.", "issue:#2"
    ),
    "run:honest-unfixable": Requirement(
        "What can't be fixed is not called fixed: exit code 1, and words that say why.", "issue:#2"
    ),
    "run:honest-no-tests": Requirement(
        "A project without tests is told that nothing can be proved.", "issue:#2"
    ),
    "run:untouched": Requirement(
        "The user's repository is left byte for byte as it was; the diff is the result.", "issue:#2"
    ),
    "run:json": Requirement(
        "With --json each line is one event and the last is run.finished with diff and attestation.",
        "architecture.md, Contracts",
    ),
    "run:standalone": Requirement(
        "`hypercode run` works with no server running, and stops all it started.", "issue:#2"
    ),
    "run:uncommitted": Requirement(
        "Uncommitted work is left out with a word, or taken along when asked.", "architecture.md, Contracts"
    ),
    "run:bad-input": Requirement(
        "Bad input ends with exit code 2, a code and a hint, and nothing is lost.", "issue:#2, Bad input"
    ),
    "run:budget": Requirement(
        "A run that reaches its budget stops with exit code 4 and keeps the diff so far.",
        "architecture.md, Contracts",
    ),
    "budget:pause": Requirement(
        "A task whose budget is used up pauses, goes on when topped up, and counts a model call that was killed.",
        "issue:#5, Budgets",
    ),
    "run:interrupt": Requirement(
        "Ctrl-C cancels the run, keeps the diff so far, and ends with exit code 130.",
        "architecture.md, Contracts",
    ),
    "run:check-fails-to-start": Requirement(
        "A check that does not exist, hangs, or fails at base for another reason is never a verified result.",
        "issue:#2, Bad input",
    ),
    "policy:file": Requirement(
        "A policy of one's own decides the calls of a run; with one that can't be read no run begins.",
        "issue:#4, Policy",
    ),
    "apply:diff": Requirement(
        "`hypercode apply` brings a run's diff into the repository, all or nothing.", "issue:#2"
    ),
    "verify:attestation": Requirement(
        "`hypercode verify` accepts what the platform signed and refuses a changed byte.", "verification.md"
    ),
    "delegation:two-coders": Requirement(
        "The Architect plans and hands two items to Coders through MCP; their changes come together and are verified.",
        "issue:#2",
    ),
    "delegation:read-only": Requirement(
        "The Architect can't write in its workspace, and has no tool that writes.", "agents.md"
    ),
    "memory:next-run": Requirement(
        "What a run notes and decides reaches the next run of the project, as data; how it ended does too.",
        "issue:#4, Context",
    ),
    "audit:verify": Requirement(
        "Every call is audited, each run's audit is sealed at its end, and `hypercode audit verify` says that it holds.",
        "issue:#4, Audit",
    ),
    "model:openai": Requirement(
        "A Coder works with a model that speaks OpenAI Chat Completions.", "issue:#2"
    ),
    "model:anthropic": Requirement("A Coder works with a model that speaks Anthropic Messages.", "issue:#2"),
    "durable:worker-killed": Requirement(
        "A worker killed with -9 in the middle of a run goes on within 3 s and repeats no finished step.",
        "issue:#2",
    ),
    "durable:tools-killed": Requirement(
        "The tools process killed with -9 in the middle of a run: the run goes on.", "runs.md"
    ),
    "snapshots:every-write": Requirement(
        "Every call that may write leaves one snapshot, tied to its event, also when a worker is killed; the workspace "
        "at any two events can be compared after the run has ended.",
        "issue:#5",
    ),
    "snapshots:bisect": Requirement(
        "The first step of a run that broke a check is found by halving.", "issue:#5"
    ),
    "redis:vanishes": Requirement(
        "Redis killed with -9 and started again in the middle of a run: no event is lost or doubled, and a cancel "
        "still stops the run.",
        "issue:#3, runs.md",
    ),
    "up:ready": Requirement("`hypercode up` answers /healthz with 200 and serves the web UI.", "issue:#2"),
    "up:port-taken": Requirement("A taken port is said with what to do, exit code 2.", "issue:#2, Bad input"),
    "up:twice": Requirement(
        "Two `up` on one data directory: the second says so, the first goes on.", "issue:#2, Bad input"
    ),
    "up:stops-all": Requirement("Ctrl-C stops everything that `up` started, and nothing else.", "issue:#2"),
    "metrics:panels": Requirement(
        "Each panel of each dashboard shows numbers, in a real Prometheus that watches a real platform.",
        "issue:#3",
    ),
    "traces:whole-way": Requirement(
        "One setting turns traces on: from a request through queue, worker and tool to the runner, without texts.",
        "issue:#3",
    ),
    "web:whole-path": Requirement(
        "A person signs in, submits a task, watches it live and sees diff, tests and attestation.", "issue:#2"
    ),
    "web:csp": Requirement(
        "The web UI runs under a strict CSP without console errors, in light and dark.", "issue:#2"
    ),
    "web:worker-killed": Requirement(
        "The worker is killed while a person watches: the next event comes within 3 s.", "issue:#2"
    ),
    "web:stop": Requirement(
        "A person stops a run in the page: its long command ends, and the diff so far is kept.",
        "architecture.md, Contracts",
    ),
    "web:approval": Requirement(
        "A person sees the exact call that a run waits for, approves it while the worker is dead, and it happens once; "
        "they answer a question and refuse with a note.",
        "issue:#4, web.md",
    ),
    "approval:durable": Requirement(
        "A run that waits for approvals is parked and goes on after them, over kill -9 of worker, tools and gateway and "
        "with no worker alive; each effect happens once.",
        "issue:#4, runs.md promises 6 and 8",
    ),
    "approval:denied": Requirement(
        "A refusal with its note, and a question that nobody decided in time, are told to the agent as POLICY_DENIED.",
        "issue:#4",
    ),
    "approval:cancel": Requirement(
        "A run that is parked can be stopped: it ends, keeps its diff, and its containers are removed.",
        "issue:#4",
    ),
    "apply:protected": Requirement(
        "Protected files that a script wrote are named in the result, and `apply` takes them over only when a person says so.",
        "issue:#4, Diff gate",
    ),
    "run:asks": Requirement(
        "`hypercode run` asks in a terminal, and refuses at once where there is none.", "issue:#4"
    ),
    "question:answered": Requirement(
        "An agent asks a person; the run waits, over a kill of its worker, and the answer is the tool's result.",
        "issue:#4",
    ),
    "preview:behind-sign-in": Requirement(
        "An app that an agent deployed opens in the browser of who is signed in, at an origin of its own; a hostile "
        "one reads nothing of the platform, and nobody else sees it.",
        "issue:#4, security.md, Previews",
    ),
    "steer:words": Requirement(
        "Words told to a run are read before its next model call, a queued goal after the one before it, over a kill.",
        "issue:#5",
    ),
    "steer:interrupt": Requirement(
        "An interrupt stops the call that goes on, with its processes; every tool call is answered, none twice.",
        "issue:#5",
    ),
    "steer:pause": Requirement("A paused run holds no worker, and goes on where it was.", "issue:#5"),
    "steer:tree": Requirement("Pause and cancel reach a run's children.", "issue:#5"),
    "steer:history": Requirement(
        "A run can be rewound to any event, and the rewind undone; a fork goes on from any event, apart from its origin.",
        "issue:#5",
    ),
    "snapshots:given-back": Requirement(
        "An archived run's snapshots give their room back; it is not forked, and says what to do instead.",
        "issue:#5",
    ),
    "steer:cancel": Requirement(
        "A cancel ends a run in a model call, while it is parked and while it is paused; a retry begins it anew.",
        "issue:#5",
    ),
}
