"""The page in a real browser: nothing is complained of or loaded, boards step, filters filter, and it can be read by keyboard, ear and phone."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from chrome import Tab, browser, program
from PIL import Image
from test_page import BDH, OTHER

from bdh_reason.compare import report
from bdh_reason.evaluate.page import HOME, fill, inside
from bdh_reason.evaluate.rows import append

pytestmark = pytest.mark.skipif(program() is None, reason="no Chromium here: apt-get install chromium")
WIDTHS = {"wide": (1280, False), "phone": (390, True)}
STEPS = 4
COLOUR = """(() => {
  const one = document.body.appendChild(document.createElement("i"));
  one.style.color = "var(--%s)";
  return getComputedStyle(one).color.match(/\\d+/g).map(Number);
})()"""
CHOOSE = """(() => {
  const one = document.querySelector("%s");
  one.value = "%s";
  for (const kind of ["input", "change"]) one.dispatchEvent(new Event(kind, {bubbles: true}));
})()"""
ENDED = """new Promise(done => {
  const look = () => document.querySelector("#player input").value === "%s" ? done(true) : setTimeout(look, 50);
  look();
})"""


def board(title, right):
    """A 4×4 board whose first row is found in STEPS steps, or never; at step 2 two cells contradict each other."""
    belief_FTS = np.full((STEPS + 1, 16, 4), 63, np.uint8)
    belief_FTS[:, 4:] = 255 * np.eye(4, dtype=np.uint8)[np.arange(12) % 4]
    belief_FTS[STEPS, :4] = 255 * np.eye(4, dtype=np.uint8)
    belief_FTS[2, :2] = (250, 1, 1, 1)
    about = {
        "model": title,
        "step": 5,
        "params": 7,
        "depth": STEPS,
        "weights": "w" * 64,
        "commit": "c",
        "device": "a CPU",
        "task": "sudoku",
        "config": {"box": [2, 2]},
    }
    return {
        "about": about,
        "title": title,
        "symbols": "1234",
        "sure": 230,
        "row": [t // 4 for t in range(16)],
        "column": [t % 4 for t in range(16)],
        "region": [t // 8 * 2 + t % 4 // 2 for t in range(16)],
        "prompt": "...." + "1234" * 3,
        "scored": [t < 4 for t in range(16)],
        "belief": base64.b64encode(belief_FTS.tobytes()).decode(),
        "clash": [[0, 1] if frame == 2 else [] for frame in range(STEPS + 1)],
        "right": [False] * STEPS + [right],
        "captions": [[f"step {frame} of {STEPS}", f"{4 if frame < STEPS else 0} open"] for frame in range(STEPS + 1)],
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of results with a page."""
    folder = tmp_path_factory.mktemp("home")
    rows = [replace(one, depth=depth, exact_match=depth / 100) for one in (BDH, OTHER) for depth in (8, 16, 64)]
    rows += [replace(BDH, depth=64, difficulty=label, n=500) for label in ("≤0", "0–2", "2–10")] + [
        replace(BDH, split="validation", depth=place) for place in range(1, 99)
    ]
    append(folder / "results" / "rows" / "a.jsonl", rows)
    (folder / "results" / "boards").mkdir()
    for name, right in (("a", True), ("b", False)):
        (folder / "results" / "boards" / f"{name}.json").write_text(json.dumps(board(f"board {name}", right)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        report.write([folder / "results" / "rows" / "a.jsonl"])
    (folder / "film.html").write_text(fill(HOME / "film.html", {"film": inside(board("alone", True))}))
    return folder


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def tab(pipes, home):
    opened = Tab(pipes)
    opened.open(home / "results" / "report.html")
    yield opened
    assert opened.complaints() == []


def test_what_a_page_complains_of_or_loads_is_noticed(pipes, tmp_path):
    for number, trouble in enumerate(("<script>absent()</script>", "<img src='beside.png'>", "<script>console.error('no')</script>")):
        (tmp_path / f"{number}.html").write_text(f"<!doctype html><title>a</title>{trouble}")
        tab = Tab(pipes)
        tab.open(tmp_path / f"{number}.html")
        assert tab.complaints() != []


def told(tab):
    return tab.run("[...document.querySelectorAll('#player .film-state span')].map(one => one.textContent).join(': ')")


def count(tab):
    return int(tab.run("document.getElementById('count').textContent").split()[0])


def push(tab, text, within="#player"):
    tab.run(f"[...document.querySelectorAll('{within} button')].find(one => one.textContent.startsWith('{text}')).click()")


def choose(tab, select, value):
    tab.run(CHOOSE % (select, value))


def test_the_board_steps_by_buttons_and_says_where_it_is(tab):
    assert told(tab) == "step 0 of 4: 4 open"
    for text, step in (("Next", 1), ("Next", 2), ("Back", 1), ("Last", 4), ("Next", 4), ("First", 0)):
        push(tab, text)
        assert told(tab).startswith(f"step {step} of 4")
        assert tab.run("document.querySelector('#player [role=status]').textContent") == told(tab)


def test_the_board_shows_what_is_believed(tab):
    cell = "document.querySelector('#player table').rows[0].cells[{}].{}"
    assert tab.run(cell.format(0, "ariaLabel")) == "open, 1 or 2 or 3 or 4"
    push(tab, "Next")
    push(tab, "Next")
    assert tab.run(cell.format(1, "ariaLabel")) == "1, in conflict"
    assert tab.run("document.querySelectorAll('#player td.clash').length") == 2
    push(tab, "Last")
    assert [tab.run(cell.format(place, "textContent"))[0] for place in range(4)] == ["1", "2", "3", "4"]
    assert tab.run("document.querySelectorAll('#player td.given').length") == 12


def test_another_board_is_chosen_and_its_course_drawn(tab):
    assert "right from step 4 to the end" in tab.run("document.getElementById('course').textContent")
    push(tab, "Last")
    choose(tab, "#board", "1")
    assert told(tab) == "step 0 of 4: 4 open"
    assert "never right" in tab.run("document.getElementById('course').textContent")
    assert tab.run("document.querySelectorAll('#player table').length") == 1


def test_the_board_plays_to_its_end_and_stops(tab):
    push(tab, "Play")
    assert tab.run(ENDED % STEPS)
    assert tab.run("document.querySelector('#player nav').children[2].textContent") == "Play"


def test_keys_move_the_board_where_it_has_the_focus(tab):
    tab.run("document.querySelector('#player button').focus()")
    for key, step in (("ArrowRight", 1), ("ArrowRight", 2), ("End", 4), ("ArrowLeft", 3), ("Home", 0)):
        tab.press(key)
        assert told(tab).startswith(f"step {step} of 4")
    tab.run("document.activeElement.blur()")
    tab.press("ArrowRight")
    assert told(tab).startswith("step 0")


def test_everything_can_be_reached_by_tab_alone_and_shows_it(tab):
    reached = []
    for _ in range(60):
        tab.press("Tab")
        reached.append(tab.run("document.activeElement.id || document.activeElement.name || document.activeElement.textContent"))
        assert tab.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached[0] == "Skip to the results"
    assert {"theme", "board", "First", "Play", "Last", "Where these numbers come from", "problems", "words", "Clear filters"} <= set(reached)


def test_filters_filter_and_columns_sort(tab):
    assert count(tab) == 104, "whole problems first"
    choose(tab, "#filters [name=slice]", "all of them")
    assert count(tab) == 107
    choose(tab, "#filters [name=arch]", "transformer")
    assert count(tab) == 3
    assert tab.run("[...document.querySelectorAll('#every tbody tr')].every(row => row.textContent.includes('six-transformer'))")
    push(tab, "Clear", "#filters")
    tab.run("document.querySelector('#filters [name=words]').focus()")
    tab.type("VALIDATION bdh")
    assert count(tab) == 98
    assert tab.run("document.querySelectorAll('#every tbody tr').length") == 50
    tab.run("document.getElementById('more').click()")
    assert tab.run("document.querySelectorAll('#every tbody tr').length") == 98
    for order, first in (("ascending", "1"), ("descending", "98")):
        push(tab, "depth", "#every")
        assert tab.run("document.querySelector('#every [aria-sort]').ariaSort") == order
        assert tab.run("document.querySelector('#every tbody tr').cells[2].textContent") == first
    tab.type(" nothing")
    assert count(tab) == 0


def test_a_screen_reader_is_told_what_is_drawn(tab):
    known = tab.accessible()
    assert next(name for role, name in known if role == "heading") == "Thinking without writing it down"
    assert {"banner", "navigation", "main", "contentinfo"} <= {role for role, _ in known}
    images = [name for role, name in known if role in ("image", "img")]
    assert any(name.startswith("sudoku 6×6, exact_match over latent steps. six: 8 steps") for name in images)
    assert all(images)
    assert ("slider", "Step") in known
    assert all(name for role, name in known if role in ("button", "combobox", "link", "searchbox", "region"))


def test_colours_follow_the_system_and_the_button(pipes, home):
    def paper(tab):
        return tab.run("getComputedStyle(document.body).backgroundColor")

    light, dark = (Tab(pipes, scheme=scheme) for scheme in ("light", "dark"))
    for tab in (light, dark):
        tab.open(home / "results" / "report.html")
    own = paper(light)
    assert own != paper(dark)
    for colour in (own, paper(dark), own):
        light.run("document.getElementById('theme').click()")
        assert paper(light) == colour


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
def test_nothing_is_wider_than_its_window_and_text_can_be_told_from_paper(pipes, home, size, scheme):
    width, phone = WIDTHS[size]
    tab = Tab(pipes, width, 800, scheme, phone)
    tab.open(home / "results" / "report.html")
    assert tab.run("document.documentElement.scrollWidth") == width
    tab.run("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert tab.run("document.documentElement.scrollWidth") == width
    picture = Image.open(io.BytesIO(tab.picture()))
    assert picture.size == (width, 800)
    colours = [tab.run(COLOUR % name) for name in ("paper", "shade", "ink", "soft", "belief", "right", "wrong")]
    paper, shade, *inks = map(luminance, colours)
    assert all((max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5 for ink in inks for ground in (paper, shade))
    assert picture.convert("RGB").getpixel((2, 2)) == tuple(colours[0])
    assert tab.complaints() == []


def luminance(colour):
    """Of an sRGB colour, as WCAG 2 defines it."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (part / 255 for part in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_page_of_one_board_plays_with_the_same_player(pipes, home):
    tab = Tab(pipes)
    tab.open(home / "film.html")
    assert tab.run("document.title") == "alone"
    tab.press("End")
    assert told(tab).startswith("step 4 of 4")
    assert tab.complaints() == []
