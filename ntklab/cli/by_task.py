"""Commands of which one task has a configuration of its own: one list of options, one grid.

    def train(
        grid: Annotated[Grid[Any], ByTask(PAIRS, WORDS, "wikitext")], *, show: Show
    ) -> None: ...

`ntklab train` has the options of both configurations then, a shared one once. `--task` chooses; the
command is called with the grid of the chosen configuration, which is its `kind`.
"""

import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer

from ntklab.cli.convert import Settings
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid


@dataclass(frozen=True)
class ByTask:
    """Settings of two configurations, between which `--task` chooses.

    The second one's options have no defaults here: a shared option counts for it where a person
    gave it, so that defaults of the first never reach it.

    Attributes:
        first: of all tasks but one.
        second: of that task.
        task: its name.
        first_alone: options of the command that only the first has a use for.
        second_alone: options of the command that only the second has a use for.
        instead: the option to take instead of one that is refused, by key.
    """

    first: Settings
    second: Settings
    task: str
    first_alone: tuple[str, ...] = ()
    second_alone: tuple[str, ...] = ()
    instead: Mapping[str, str] = field(default_factory=dict)

    def options(self) -> Iterator[inspect.Parameter]:
        """The context of the command, then a keyword parameter for each setting."""
        yield inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        yield from self.first.options()
        shared = self.first.keys()
        for parameter in self.second.options():
            if parameter.name not in shared:
                flag = parameter.default is False
                yield parameter if flag else parameter.replace(default=None)

    def take(self, options: dict[str, Any]) -> Grid[Any]:
        """The grid of what these options say; they are taken out.

        Raises:
            InputError: for text that means nothing, or an option that the task has no use for.
        """
        ctx = options.pop("ctx")
        values = {k: options.pop(k) for k in self.first.keys() | self.second.keys() if k in options}
        task, keys = values["task"], (self.first.keys(), self.second.keys())
        if task == self.task:
            self._refuse(ctx, task, (*(keys[0] - keys[1] - {"task"}), *self.first_alone))
            return self.second.take({k: v for k, v in values.items() if given(ctx, k)})
        self._refuse(ctx, task, (*(keys[1] - keys[0]), *self.second_alone))
        return self.first.take(values)

    def _refuse(self, ctx: typer.Context, task: str, idle: Collection[str]) -> None:
        """Refuse options that a task has no use for, rather than read past them."""
        for key in (key for key in ctx.params if key in idle and given(ctx, key)):
            see = f" (see {self.instead[key]})" if key in self.instead else ""
            raise InputError(
                f"--{key.replace('_', '-')}{see} has no meaning for --task {task}: leave it out."
            )


def given(ctx: typer.Context, key: str) -> bool:
    """Whether an option stands on the command line or in the file of options."""
    source = ctx.get_parameter_source(key)
    return source is not None and source.name != "DEFAULT"
