"""The frames are the beliefs, and both pictures show the frames."""

import base64
import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from toy import Config as ToyConfig
from toy import Task as Toy

from bdh_reason import discover
from bdh_reason.errors import UserError
from bdh_reason.evaluate.film import SURE, check, film, write
from bdh_reason.evaluate.gif import PAPER, gif
from bdh_reason.evaluate.page import page
from bdh_reason.rng import generator

SUDOKU = discover.task_module("sudoku")
DEPTH = 5


def seen(box=(2, 2), depth=DEPTH, noise=0.0):
    """A film of a mind that grows from even beliefs to the right reply; with noise it never gets there."""
    task = SUDOKU.Task(SUDOKU.Config(box, clues=box[0] * box[1] * (box[0] * box[1] + 1) // 2))
    problems = task.generate(generator(0, "test"), 1)
    board = task.board("cells", "grid")
    right_TS = np.eye(len(board.symbols))[board.index(problems.target[0])]
    wild_TS = np.random.default_rng(0).dirichlet(np.ones(len(board.symbols)), board.positions)
    beliefs = [(1 - noise) * (right_TS * step + (1 - step) / len(board.symbols)) + noise * wild_TS for step in np.linspace(0, 1, depth)]
    return task, problems, film(task, "a mind", problems.prompt[0], problems.scored[0], beliefs), beliefs


def test_the_frames_are_the_blank_board_and_then_the_beliefs():
    _, problems, shown, beliefs = seen(noise=0.3)
    scored_T = problems.scored[0]
    assert len(shown) == DEPTH + 1
    assert np.allclose(shown.belief_FTS[0, scored_T], 1 / 4)
    for frame, belief_TS in enumerate(beliefs, 1):
        assert np.allclose(shown.belief_FTS[frame, scored_T], belief_TS[scored_T])
    given_FTS = shown.belief_FTS[:, ~scored_T]
    assert (given_FTS.max(-1) == 1).all()
    assert (given_FTS.argmax(-1) == [b"1234".index(byte) for byte in problems.prompt[0][~scored_T]]).all()


def test_the_verdict_of_each_frame_is_that_of_the_rules():
    _, _, shown, _ = seen()
    assert shown.right_F.tolist() == [False, False, *[True] * (DEPTH - 1)]
    assert shown.caption(DEPTH) == (f"step {DEPTH} of {DEPTH}", "the reply obeys the rules")
    assert seen(noise=0.99)[2].caption(DEPTH)[1] == "the reply breaks the rules"


def test_exactly_two_sure_equal_symbols_of_a_unit_are_a_contradiction():
    task, problems, shown, beliefs = seen()
    assert not shown.clash_FT.any()
    blank = int(problems.scored[0].argmax())
    row = blank // 4
    given = next(place for place in range(row * 4, row * 4 + 4) if place != blank)
    wrong_TS = beliefs[-1].copy()
    wrong_TS[blank] = np.eye(4)[b"1234".index(problems.target[0, given])]
    clash_T = film(task, "", problems.prompt[0], problems.scored[0], [wrong_TS]).clash_FT[1]
    assert clash_T[blank]
    assert clash_T[given]
    unsure_TS = wrong_TS * (SURE - 0.01) + (1 - wrong_TS) * (1.01 - SURE) / 3
    assert not film(task, "", problems.prompt[0], problems.scored[0], [unsure_TS]).clash_FT[1, blank]


@pytest.mark.parametrize("box", [(2, 2), (2, 3), (3, 3), (4, 4)])
def test_a_gif_has_a_frame_for_every_step_and_waits_at_the_end(box):
    _, _, shown, _ = seen(box)
    image = Image.open(io.BytesIO(gif(shown)))
    assert (image.format, image.n_frames, image.info["loop"]) == ("GIF", DEPTH + 1, 0)
    durations = []
    for frame in range(image.n_frames):
        image.seek(frame)
        durations.append(image.info["duration"])
    assert durations[-1] >= 10 * durations[1]


def test_a_gif_shows_what_is_believed_and_flashes_contradictions():
    _, _, shown, _ = seen()
    clashing = replace(shown, clash_FT=np.ones_like(shown.clash_FT))
    for one, red in ((shown, False), (clashing, True)):
        image = Image.open(io.BytesIO(gif(one)))
        image.seek(DEPTH)
        colours = {colour for _, colour in image.convert("RGB").getcolors()}
        assert PAPER in colours
        assert any(colour[0] > 240 and colour[1] < 200 for colour in colours) == red
    assert gif(seen(noise=0.3)[2]) != gif(shown)


class Page(HTMLParser):
    """Collects the film, and whatever would need a network."""

    def __init__(self, text):
        super().__init__()
        self.film, self.foreign, self.inside, self.tags = "", [], False, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        self.tags.append(tag)
        self.inside = about.get("id") == "film"
        self.foreign += [about[name] for name in ("src", "href") if name in about]

    def handle_data(self, text):
        if self.inside:
            self.film, self.inside = self.film + text, False


def test_a_page_holds_every_frame_and_needs_nothing_else():
    _, _, shown, _ = seen(noise=0.3)
    text = page(replace(shown, title="</script><b>")).decode()
    parsed = Page(text)
    assert parsed.foreign == []
    assert "//" not in text.replace(parsed.film, "")
    assert "{{" not in text
    content = json.loads(parsed.film)
    assert content["title"] == "</script><b>"
    belief_FTS = np.frombuffer(base64.b64decode(content["belief"]), np.uint8).reshape(shown.belief_FTS.shape)
    assert np.abs(belief_FTS / 255 - shown.belief_FTS).max() <= 1 / 255
    assert ((belief_FTS >= content["sure"]) == (shown.belief_FTS >= SURE)).all()
    assert content["clash"] == [np.flatnonzero(clash_T).tolist() for clash_T in shown.clash_FT]
    assert [tuple(caption) for caption in content["captions"]] == [shown.caption(frame) for frame in range(len(shown))]


def test_a_task_without_rows_and_columns_has_no_picture():
    task = Toy(ToyConfig())
    problems = task.generate(generator(0, "test"), 1)
    with pytest.raises(UserError, match="rows and columns"):
        film(task, "", problems.prompt[0], problems.scored[0], [])


def test_files_are_written_whole_and_bad_names_are_refused(tmp_path):
    write(tmp_path / "a.gif", b"one")
    write(tmp_path / "a.gif", b"two")
    assert (tmp_path / "a.gif").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    check(None, ".gif")
    check(tmp_path / "b.GIF", ".gif")
    (tmp_path / "folder.gif").mkdir()
    for path in (tmp_path / "a.png", tmp_path / "folder.gif", tmp_path / "absent" / "a.gif"):
        with pytest.raises(UserError, match="allowed"):
            check(path, ".gif")
    with pytest.raises(UserError, match="cannot write"):
        write(tmp_path / "absent" / "a.gif", b"")
