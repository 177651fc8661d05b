"""The wheel holds everything: away from the clone it finds its tasks, models and recipes."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_works_away_from_the_clone(tmp_path):
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path = [path for path in sys.path if path not in ('', {str(ROOT)!r})]; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from bdh_reason import discover\nfrom bdh_reason.train.recipe import load, recipe_names\n"
        "print(discover.__file__, discover.task_module('sudoku').__name__, discover.model_module('linear_attention').__name__, len(discover.guesses()))\n"
        "[load(name, {}) for name in recipe_names()]\n"
        "from bdh_reason.compare import page, report\n"
        "[path.read_text() for path in (report.CLAIMS, *(page.HERE / name for name in ('page.html', 'page.css', 'page.js')))]"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{tmp_path}/site/bdh_reason/discover.py", "bdh_reason.tasks.sudoku", "bdh_reason.baselines.linear_attention", "3"]
