import importlib.metadata
import sys
from unittest.mock import patch

import pytest
from toy import installed

from bdh_reason import discover
from bdh_reason.errors import UserError

uses_toy = pytest.mark.usefixtures(installed.__name__)


@pytest.fixture(autouse=True)
def _no_memory():
    """Each test looks at the disk itself."""
    for function in (discover._home, discover._named):
        function.cache_clear()
    yield
    for function in (discover._home, discover._named):
        function.cache_clear()


def test_the_folders_are_found():
    assert "sudoku" in discover.task_names()
    assert {"bdh", "transformer"} <= set(discover.model_names())
    assert "guess" not in discover.model_names(), "the guesses read no weights and are no models"
    assert set(discover.guesses()) == {"chance", "copy", "oracle"}


def test_every_task_and_model_found_exports_what_it_must():
    for name in discover.task_names():
        assert {"Config", "Task"} <= set(dir(discover.task_module(name))), name
    for name in discover.model_names():
        assert {"Config", "Model"} <= set(dir(discover.model_module(name))), name


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(UserError, match=r"unknown task 'sudokku'.*did you mean 'sudoku'"):
        discover.task_module("sudokku")
    with pytest.raises(UserError, match=r"unknown model 'transfomer'.*did you mean 'transformer'"):
        discover.model_module("transfomer")
    with pytest.raises(UserError, match="unknown model 'guess'"):
        discover.model_module("guess")


@uses_toy
def test_a_task_of_another_package_is_found_through_its_entry_point():
    assert "toy" in discover.task_names()
    assert discover.task_module("toy").Task.name == "toy"
    assert "toy" not in discover.model_names()


def test_two_tasks_of_one_name_are_refused(monkeypatch):
    clash = importlib.metadata.EntryPoint("sudoku", "elsewhere.sudoku", "bdh_reason.tasks")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [clash] if group == clash.group else [])
    with pytest.raises(UserError, match=r"two tasks are named 'sudoku': tasks.sudoku and elsewhere.sudoku"):
        discover.task_names()
    assert "bdh" in discover.model_names()


def test_a_foreign_package_named_tasks_is_refused(tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with patch.dict(sys.modules):
        for name in [name for name in sys.modules if name.partition(".")[0] == "tasks"]:
            del sys.modules[name]
        with pytest.raises(UserError, match=r"a package named 'tasks' at .* hides"):
            discover.task_names()
