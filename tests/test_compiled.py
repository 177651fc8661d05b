"""Compiled functions are kept in a place named by their sources: beside them, or inside the folder that the user names."""

import numba
import pytest

from bdh_reason.compiled import keep_by_content


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "numba's own")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    return tmp_path / "code"


@pytest.mark.parametrize("named", [True, False])
def test_the_place_changes_with_the_sources_and_is_where_the_user_wants_it(folder, named, monkeypatch):
    if named:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder.parent / "mine"))
    else:
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    places = set()
    for content in ("1", "2"):
        (folder / "a.py").write_text(content)
        keep_by_content(folder)
        place, _, name = numba.config.CACHE_DIR.rpartition("/")
        assert place == str(folder.parent / "mine" if named else folder / "__pycache__")
        places.add(name)
    assert len(places) == 2
