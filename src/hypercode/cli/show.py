"""How a run is shown in a terminal: plain lines for people, one JSON object a line for programs."""

import json
import re
import sys
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax

from hypercode.domain.errors import HyperCodeError
from hypercode.domain.event import Event, RunFinished

# Text from repositories and models may carry terminal escapes; none of it reaches the terminal.
CONTROL = re.compile(
    r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]"
)
SHOWN_DIFF_LINES = 200


def plain(text: str) -> str:
    """Text without control sequences."""
    return CONTROL.sub("", text)


class Show(Protocol):
    """What ``hypercode run`` tells while it works and at its end."""

    def say(self, text: str) -> None: ...

    def event(self, event: Event) -> None: ...

    def finished(
        self, event: Event, payload: RunFinished, diff: str, attestation: dict[str, Any] | None
    ) -> None: ...

    def failed(self, error: HyperCodeError) -> None: ...


def shows(*, as_json: bool) -> Show:
    return JsonLines() if as_json else Terminal(Console(highlight=False, soft_wrap=True))


class JsonLines:
    """Events as JSON lines on standard output; the last one carries the diff and the attestation themselves."""

    def say(self, text: str) -> None:
        sys.stderr.write(f"{plain(text)}\n")

    def event(self, event: Event) -> None:
        self._line(event.model_dump(mode="json"))

    def finished(
        self, event: Event, payload: RunFinished, diff: str, attestation: dict[str, Any] | None
    ) -> None:
        line = event.model_dump(mode="json")
        line["payload"] |= {
            "diff": diff,
            "diff_artifact": payload.diff,
            "attestation": attestation,
            "attestation_artifact": payload.attestation,
        }
        self._line(line)

    def failed(self, error: HyperCodeError) -> None:
        self._line(
            {"type": "error", "code": error.code, "message": plain(error.message), "hint": plain(error.hint)}
        )

    def _line(self, value: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()


class Terminal:
    """One line for each thing that a person wants to know, then the diff and the verdict."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(f"[dim]{escape(plain(text))}[/dim]")

    def event(self, event: Event) -> None:
        line = _line_of(event.type, event.payload)
        if line is not None:
            mark, text = line
            self._console.print(f"{mark} {escape(plain(text))}")

    def finished(
        self, event: Event, payload: RunFinished, diff: str, attestation: dict[str, Any] | None
    ) -> None:
        if diff:
            self._console.print()
            lines = plain(diff).splitlines()
            self._console.print(
                Syntax("\n".join(lines[:SHOWN_DIFF_LINES]), "diff", background_color="default")
            )
            if len(lines) > SHOWN_DIFF_LINES:
                self.say(
                    f"… {len(lines) - SHOWN_DIFF_LINES} more lines; write them to a file with --patch-out"
                )
        else:
            self.say("No file was changed.")
        self._console.print()
        if payload.verified:
            self._console.print(f"[bold green]VERIFIED[/bold green]  grade: {payload.proof.value}")
        else:
            self._console.print(f"[bold yellow]NOT VERIFIED[/bold yellow]  grade: {payload.proof.value}")
        self._console.print(escape(plain(payload.reason)))
        if payload.protected_paths:
            names = escape(plain(", ".join(payload.protected_paths)))
            self._console.print(f"[yellow]Look at the protected files first:[/yellow] {names}")
        if payload.error_hint:
            self._console.print(f"[dim]{escape(plain(payload.error_hint))}[/dim]")
        money = f", ${payload.cost:.4f}" if payload.cost else ""
        self.say(
            f"tests at the end: {payload.tests.passed} passed, {payload.tests.failed} failed; "
            f"{payload.turns} turns, {payload.tokens_in + payload.tokens_out} tokens{money}, {payload.elapsed_s:.1f} s"
        )

    def failed(self, error: HyperCodeError) -> None:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"[bold red]{error.code}[/bold red] {escape(plain(error.message))}")
        if error.hint:
            console.print(f"[dim]{escape(plain(error.hint))}[/dim]")


def _line_of(type_: str, payload: dict[str, Any]) -> tuple[str, str] | None:  # noqa: C901 - a table
    match type_:
        case "run.started":
            return "[blue]•[/blue]", f"{payload['role']} with {payload['model']}. {payload['base_note']}"
        case "notice.raised":
            mark = "[red]![/red]" if payload["level"] == "error" else "[yellow]![/yellow]"
            return mark, f"{payload['message']} {payload['hint']}".strip()
        case "environment.phase_changed" | "verification.phase_changed":
            return "[dim]·[/dim]", f"{type_.split('.')[0]}: {payload['message'] or payload['phase']}"
        case "environment.prepared":
            how = "cached" if payload["cached"] else f"built in {payload['build_s']:.1f} s"
            return "[blue]•[/blue]", f"environment ready ({payload['recipe_source']}, {how})"
        case "checks.frozen":
            return "[blue]•[/blue]", _checks_line(payload)
        case "turn.completed" if payload["text"]:
            return "[cyan]›[/cyan]", payload["text"]
        case "tool_call.requested":
            return "[dim]→[/dim]", payload["tool"]
        case "tool_call.progressed":
            return "[dim]·[/dim]", payload["message"]
        case "tool_call.completed":
            mark = "[green]✓[/green]" if payload["ok"] else "[red]✗[/red]"
            return mark, f"{payload['tool']}: {payload['summary']}"
        case "approval.decided":
            by = f" by {payload['by']}" if payload["by"] else ""
            return "[blue]•[/blue]", f"{payload['state']}{by}. {payload['note']}".strip()
        case "budget.reached":
            return "[yellow]![/yellow]", f"paused: {payload['message']}"
        case "budget.raised":
            return "[blue]•[/blue]", f"the budget was changed by {payload['by']}"
        case "plan.submitted":
            items = "; ".join(item["title"] for item in payload["plan"]["items"])
            return "[blue]•[/blue]", f"plan: {items}"
        case "plan_item.changed":
            return "[blue]•[/blue]", f"{payload['item_id']}: {payload['status']}. {payload['detail']}"
        case "diff.exported":
            return (
                "[blue]•[/blue]",
                f"{payload['files']} file(s), +{payload['insertions']} -{payload['deletions']}",
            )
        case "verification.finished":
            return "[blue]•[/blue]", payload["words"]
        case _:
            return None


def _checks_line(payload: dict[str, Any]) -> str:
    if not payload["checks"]:
        return "no checks were found: the platform can prove nothing without a test"
    commands = "; ".join(" ".join(check["argv"]) for check in payload["checks"])
    red = payload["base_red"]
    first = f" (first: {red[0]})" if red else ""
    return (
        f"checks frozen: {commands}. Before any change: {payload['base_passed']} passed, "
        f"{payload['base_failed']} failed{first}"
    )
