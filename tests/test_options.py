"""Progress: one line that is kept up to date in a terminal, elsewhere a line every so often and none for what is quick."""

import io

import pytest

from bdh_reason.cli import options


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "every", "said"),
    [
        (Terminal, 1e9, "\rbuilding: 0 of 2,000\rbuilding: 1,024 of 2,000\rbuilding: 2,000 of 2,000\n"),
        (io.StringIO, 0, "building: 0 of 2,000\nbuilding: 1,024 of 2,000\nbuilding: 2,000 of 2,000\n"),
        (io.StringIO, 1e9, ""),
    ],
)
def test_progress_is_told_as_its_reader_can_use_it(stream, every, said, monkeypatch):
    err = stream()
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr(options, "SAY_EVERY", every)
    show = options.progress("building")
    for done in (0, 1024, 2000):
        show(done, 2000)
    assert err.getvalue() == said
