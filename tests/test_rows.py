import io
import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdh_reason.errors import UserError
from bdh_reason.evaluate.rows import ADDED, SCHEMA, Row, append, locate, read, survey

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
number = st.floats(allow_nan=False, allow_infinity=False)
OF = {"str": text, "int": st.integers(), "bool": st.booleans(), "float": number, "dict[str, str]": st.dictionaries(text, text, max_size=3)}
OF["dict[str, Any]"] = st.dictionaries(text, text | st.lists(st.integers(), max_size=3) | st.none(), max_size=3)
OF["list[int]"] = st.lists(st.integers(), max_size=3)
TYPES = {field.name: str(field.type) for field in fields(Row) if field.name != "schema"}
SCORED = {"ci_low": 0.25, "ci_high": 0.75, "cell_accuracy": 0.5, "chance": 0.0, "bits_per_byte": None}
anything = st.builds(Row, **{name: st.none() | OF[kind.removesuffix(" | None")] if kind.endswith("None") else OF[kind] for name, kind in TYPES.items()})
possible = {"n": st.integers(1), "depth": st.none() | st.integers(1), "horizon": st.none() | st.integers(1), "exact_match": st.floats(0, 1)}
possible |= {"outcomes": st.none(), "island_sizes": st.none()}
rows = st.builds(lambda row, changes: replace(row, **SCORED, **changes), anything, st.fixed_dictionaries(possible))
BLANKS = {"str": "x", "int": 1, "float": 0.5}
ROW = Row(**{name: None if kind.endswith("None") else BLANKS.get(kind, {}) for name, kind in TYPES.items()} | SCORED | {"exact_match": 0.5})


@given(st.lists(rows, max_size=4, unique_by=Row.line))
def test_rows_come_back_as_they_were_written(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    append(path, written)
    assert read([path]) == written


@given(rows)
def test_a_row_is_one_line_of_json_with_every_field(row):
    line = row.line()
    assert "\n" not in line
    assert json.loads(line) == asdict(row)
    assert json.loads(line)["schema"] == SCHEMA


def test_rows_of_an_older_schema_are_read_without_what_they_lack(tmp_path):
    old = {name: value for name, value in asdict(ROW).items() if name not in ADDED[1]} | {"schema": 1}
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps(old) + "\n")
    assert read([path]) == [replace(ROW, restarts=None, first_right=None, islands=None)]


def test_appending_keeps_what_is_there_and_makes_the_folder(tmp_path):
    path, other = tmp_path / "results" / "rows" / "a.jsonl", tmp_path / "b.jsonl"
    one, two, three = (replace(ROW, n=n) for n in (1, 2, 3))
    append(path, [one])
    before = path.read_bytes()
    append(path, [two])
    append(other, [three])
    assert path.read_bytes().startswith(before)
    assert read([path, other]) == [one, two, three]


def test_rows_are_added_in_one_write(tmp_path, monkeypatch):
    writes = []

    class Raw(io.FileIO):
        def write(self, content):
            writes.append(bytes(content))
            return super().write(content)

    monkeypatch.setattr(Path, "open", lambda path, mode: io.BufferedRandom(Raw(path, mode)))
    many = [replace(ROW, n=n) for n in range(100)]
    append(tmp_path / "rows.jsonl", many)
    assert b"".join(writes).decode() == "".join(row.line() + "\n" for row in many)
    assert len(writes) == 1
    assert len(writes[0]) > 4 * io.DEFAULT_BUFFER_SIZE


WITHOUT_N = {name: value for name, value in asdict(ROW).items() if name != "n"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "is no row"),
        ("no JSON", "is no row"),
        (ROW.line()[:-9], "is no row"),
        ("[1, 2]", "is no row"),
        ("7", "is no row"),
        ("{}", "is no row"),
        (json.dumps({**asdict(ROW), "schema": SCHEMA + 1}), f"schema version {SCHEMA + 1}; allowed: {SCHEMA}"),
        (json.dumps({**asdict(ROW), "score": 1}), "exactly its fields"),
        (json.dumps(WITHOUT_N), "exactly its fields"),
        (json.dumps({**asdict(ROW), "schema": [1]}), "is no row"),
        (json.dumps({**asdict(ROW), "n": "many"}), "is no row"),
        (json.dumps({**asdict(ROW), "versions": 7}), "is no row"),
        (json.dumps({**asdict(ROW), "exact_match": float("nan")}), "is no row"),
        (json.dumps({**asdict(ROW), "config": {"rate": float("inf")}}), "is no row"),
        (replace(ROW, exact_match=None).line(), "is no row: no whole score"),
        (replace(ROW, exact_match=1.5).line(), "is no row: no whole score"),
        (replace(ROW, ci_low=None).line(), "is no row: no whole score"),
        (replace(ROW, n=0).line(), "is no row: n = 0"),
        (replace(ROW, depth=-7).line(), "is no row: depth = -7"),
        (replace(ROW, horizon=0).line(), "is no row: horizon = 0"),
        (replace(ROW, n=9, outcomes="AA==").line(), "is no row: outcomes that are not those of 9 problems"),
        (replace(ROW, outcomes="!").line(), "is no row: outcomes"),
        (replace(ROW, n=9, islands=2, island_sizes=[4, 4]).line(), "is no row: islands that do not hold 9 problems"),
    ],
)
def test_what_is_no_row_is_named_by_file_and_line(tmp_path, line, complaint):
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    append(good, [ROW])
    bad.write_text(f"{replace(ROW, n=2).line()}\n{line}\n{replace(ROW, n=3).line()}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"bad\.jsonl, line 2 .*{complaint}"):
        read([good, bad])


def test_all_that_is_wrong_is_named_and_nothing_else_is_lost(tmp_path):
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    rows = [replace(ROW, n=n) for n in range(1, 5)]
    one.write_text(f"{rows[0].line()}\nno JSON\n{rows[1].line()}\n{json.dumps({**asdict(ROW), 'schema': 99})}\n")
    other.write_text(f"{rows[2].line()}\n{rows[0].line()}\n{rows[3].line()}\n")
    found, complaints = survey([one, other])
    assert found == rows
    told = [str(complaint) for complaint in complaints]
    places = [f"{one}, line 2 is no row", f"{one}, line 4 has schema version 99", f"{other}, line 2 repeats {one}, line 1"]
    assert [line.startswith(place) for line, place in zip(told, places, strict=True)] == [True] * 3
    assert all(complaint.remedy for complaint in complaints)


def test_rows_after_half_a_line_begin_on_a_line_of_their_own(tmp_path):
    path = tmp_path / "torn.jsonl"
    path.write_text(f"{ROW.line()}\n{ROW.line()[:50]}", encoding="utf-8")
    append(path, [replace(ROW, n=2)])
    found, complaints = locate([path])
    assert found == [(ROW, f"{path}, line 1"), (replace(ROW, n=2), f"{path}, line 3")]
    assert [str(complaint).startswith(f"{path}, line 2 is no row") for complaint in complaints] == [True]


def test_files_that_cannot_be_read_or_written_are_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.jsonl"):
        read([tmp_path / "absent.jsonl"])
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"bytes\.jsonl"):
        read([tmp_path / "bytes.jsonl"])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to .*file.rows\.jsonl"):
        append(tmp_path / "file" / "rows.jsonl", [ROW])


def test_a_line_that_was_torn_inside_a_character_is_one_bad_line(tmp_path):
    path, whole = tmp_path / "torn.jsonl", replace(ROW, difficulty="≤0").line().encode()
    path.write_bytes(ROW.line().encode() + b"\n" + whole[: whole.index("≤".encode()) + 1])
    append(path, [replace(ROW, n=2)])
    found, complaints = locate([path])
    assert [its.row for its in found] == [ROW, replace(ROW, n=2)]
    assert [str(complaint).startswith(f"{path}, line 2 is no row") for complaint in complaints] == [True]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_row_is_written_of_what_is_no_number(tmp_path, number):
    path = tmp_path / "rows.jsonl"
    append(path, [ROW])
    with pytest.raises(UserError, match="diverged"):
        append(path, [replace(ROW, bits_per_byte=number)])
    assert read([path]) == [ROW]
