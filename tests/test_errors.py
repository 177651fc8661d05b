import pickle

from bdh_reason.errors import UserError, unknown


def test_a_message_says_what_was_given_what_is_allowed_and_what_to_do():
    assert str(UserError("depth 0", "1 or more", "give a depth")) == "depth 0; allowed: 1 or more; give a depth"


def test_empty_parts_leave_no_trace():
    assert str(UserError("depth 0")) == "depth 0"
    assert str(UserError("depth 0", remedy="give a depth")) == "depth 0; give a depth"


def test_an_error_survives_the_way_back_from_another_process():
    error = pickle.loads(pickle.dumps(UserError("a", "b", "c")))
    assert (error.given, error.allowed, error.remedy) == ("a", "b", "c")


def test_an_unknown_name_gets_the_known_ones_and_the_nearest():
    error = unknown("task", "sudokku", ["maze", "sudoku"], "a recipe")
    assert str(error) == "unknown task 'sudokku' in a recipe; allowed: maze, sudoku; did you mean 'sudoku'?"


def test_a_name_like_no_other_gets_no_guess():
    assert str(unknown("task", "xyz", ["sudoku"])) == "unknown task 'xyz'; allowed: sudoku"
    assert "allowed: none" in str(unknown("task", "xyz", []))
