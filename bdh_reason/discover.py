"""Names to tasks, models and guesses: the folders `tasks/` and `baselines/` beside this package, and other packages' entry points.

A file's name is its name on the command line. In a clone the folders are the top-level packages `tasks` and `baselines`; in a wheel they
are `bdh_reason.tasks` and `bdh_reason.baselines`. Nothing else imports them by hand.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from bdh_reason.config import configure
from bdh_reason.errors import UserError, unknown
from bdh_reason.task import Corpus, Subject, Task

_PACKAGE = Path(__file__).resolve().parent


@cache
def _home(folder: str) -> ModuleType:
    """The package that holds `folder`: inside the installed wheel, else beside this package in the clone."""
    if (_PACKAGE / folder).is_dir():
        return importlib.import_module(f"bdh_reason.{folder}")
    beside = _PACKAGE.parent / folder
    module = importlib.import_module(folder)
    if Path(module.__file__ or "").resolve().parent != beside:
        raise UserError(f"a package named {folder!r} at {module.__file__} hides {beside}", remedy="run from another folder or install the wheel")
    return module


@cache
def _named(folder: str, export: str) -> dict[str, str]:
    """Name -> import path of everything in `folder` or in the entry points that may export `export`."""
    home = _home(folder)
    found = {module.name: f"{home.__name__}.{module.name}" for module in pkgutil.iter_modules(home.__path__)}
    group = "bdh_reason.tasks" if folder == "tasks" else "bdh_reason.models"
    for entry in importlib.metadata.entry_points(group=group):
        if entry.name in found:
            raise UserError(f"two {export.lower()}s are named {entry.name!r}: {found[entry.name]} and {entry.value}", "one")
        found[entry.name] = entry.value
    return found


def task_names() -> list[str]:
    """Names of all tasks."""
    return [name for name in subject_names() if issubclass(kind(name), Task)]


def subject_names() -> list[str]:
    """Names of all tasks and corpora, without importing them."""
    return sorted(_named("tasks", "Task"))


@cache
def presets() -> dict[str, tuple[str, dict[str, Any]]]:
    """Name -> (task, options) of the configurations that tasks export by name in `PRESETS`; imports every task."""
    known = _named("tasks", "Task")
    found = {name: (task, options) for task in sorted(known) for name, options in getattr(_module(known, "task", task), "PRESETS", {}).items()}
    return {name: preset for name, preset in found.items() if name not in known}


def resolve(name: str) -> tuple[str, dict[str, Any]]:
    """The task that a name stands for and the options that come with it, none for a task's own name. Raises UserError for an unknown name."""
    known = _named("tasks", "Task")
    if name in known:
        return name, {}
    if name not in presets():
        raise unknown("task", name, {*known, *presets()})
    return presets()[name]


def task_module(name: str) -> Any:
    """The module of a task, a corpus or a preset; it exports `Config` and `Task` or `Corpus`. Raises UserError for an unknown name."""
    return _module(_named("tasks", "Task"), "task", resolve(name)[0])


def instance(name: str) -> dict[str, str]:
    """The worked instance in a task's docstring: its `options`, `prompt`, `reply` and `chance`, each on an indented line of its own."""
    return dict(re.findall(r"^    (options|prompt|reply|chance) +(\S.*)$", task_module(name).__doc__ or "", re.MULTILINE))


def kind(name: str) -> type[Subject]:
    """The class that a name stands for: a `Task` or a `Corpus`. Raises UserError for an unknown name."""
    module = task_module(name)
    found: type[Subject] = module.Corpus if hasattr(module, "Corpus") else module.Task
    return found


def is_text(name: str) -> bool:
    """Whether a name is that of a corpus or of a preset of one; not where it is unknown."""
    return name in {*subject_names(), *presets()} and issubclass(kind(name), Corpus)


def build(name: str, options: Mapping[str, Any]) -> Subject:
    """A task, a corpus, or a preset of one, by name with some of its options changed. Raises UserError for an unknown name or option."""
    config = configure(task_module(name).Config, {**resolve(name)[1], **options}, f"the options of task {name}")
    return kind(name)(config)  # type: ignore[call-arg]


def build_task(name: str, options: Mapping[str, Any]) -> Task:
    """`build` of a task. Raises UserError for a text too."""
    if not isinstance(built := build(name, options), Task):
        raise UserError(f"{name} is a text and has no problems", ", ".join(task_names()))
    return built


def build_corpus(name: str, options: Mapping[str, Any]) -> Corpus:
    """`build` of a corpus. Raises UserError for a task too."""
    if not isinstance(built := build(name, options), Corpus):
        raise UserError(f"{name} is no text", ", ".join(sorted(set(subject_names()) - set(task_names()))))
    return built


def at_horizon(name: str, options: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """The options of a task, or of a preset, at one horizon. Raises UserError for a task that has none, and outside of its range."""
    its = kind(name)
    if not its.horizon:
        raise UserError(f"horizon {horizon} of task {name}, which has none", "a task with a horizon")
    if its.ladder and not its.ladder[0] <= horizon <= its.ladder[-1]:
        raise UserError(f"horizon {horizon} of task {name}", f"{its.ladder[0]} to {its.ladder[-1]}, its {its.horizon}")
    return {**options, its.horizon: horizon}


def model_names() -> list[str]:
    """Names of all trainable models: `bdh` and every file of baselines/ but the guesses."""
    return sorted({"bdh", *_named("baselines", "Model")} - {"guess"})


def model_module(name: str) -> Any:
    """The module of a model; it exports `Config` and `Model`. Raises UserError for an unknown name."""
    known = {model: path for model, path in _named("baselines", "Model").items() if model != "guess"}
    return _module({"bdh": "bdh_reason.bdh", **known}, "model", name)


def codes() -> dict[str, Any]:
    """The baselines of texts that read no weights: name -> function(training documents, documents) -> bits float64 [n]."""
    return dict(importlib.import_module(_named("baselines", "Model")["guess"]).CODES)


def guesses() -> dict[str, Any]:
    """The baselines that read no weights: name -> function(task, prompt_NT, scored_NT, rng) -> reply_NT."""
    return dict(importlib.import_module(_named("baselines", "Model")["guess"]).GUESSES)


def _module(known: dict[str, str], kind: str, name: str) -> ModuleType:
    if name not in known:
        raise unknown(kind, name, known)
    return importlib.import_module(known[name])
