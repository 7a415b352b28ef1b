"""A group of commands that imports one only to run it or to show its help: `hypercode --help` loads none of them."""

import importlib
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup


class LazyCommands(TyperGroup):
    """Knows the names and first words of its commands. ``package`` holds a module, or a package, of each name."""

    package: ClassVar[str]
    commands_help: ClassVar[dict[str, str]]
    # Started by the platform itself only, so no help lists them.
    internal: ClassVar[tuple[str, ...]] = ()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands_help)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands_help and cmd_name not in self.internal:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"{self.package}.{name}")
        entry: Any = getattr(module, name)
        if isinstance(entry, typer.Typer):
            command = typer.main.get_command(entry)
        else:
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(name=cmd_name)(entry)
            command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.commands_help.items()))
