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
rows = st.builds(Row, **{name: st.none() | OF[kind.removesuffix(" | None")] if kind.endswith("None") else OF[kind] for name, kind in TYPES.items()})
BLANKS = {"str": "x", "int": 1, "float": 0.5}
ROW = Row(**{name: None if kind.endswith("None") else BLANKS.get(kind, {}) for name, kind in TYPES.items()})


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
    rows = [replace(ROW, n=n) for n in range(4)]
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
