"""Typed errors: they say everything, survive pickling, and are also the natural builtin."""

import pickle

import pytest

from segment5b_lib import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Segment5BError)]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_pickling_with_all_their_parts(kind):
    error = kind("5B.X.Y", "it broke", where="here", expected=1, found=2, done="half", next_step="retry")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (
        copy.context()
        == error.context()
        == {
            "code": "5B.X.Y",
            "what": "it broke",
            "where": "here",
            "expected": "1",
            "found": "2",
            "done": "half",
            "next": "retry",
        }
    )
    assert str(copy).splitlines()[0] == "5B.X.Y: it broke"


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"where": "here", "expected": "1", "found": "2", "done": "half", "next_step": "retry: now"},
        {"found": "two lines\nand  next to it", "next_step": "segment5b phase P0 01234567"},
    ],
)
def test_an_error_s_context_is_read_back_from_its_text(parts):
    error = errors.InputError("5B.X.Y", "it broke: badly", **parts)
    assert errors.context_of(str(error)) == error.context()


def test_any_other_text_is_what_went_wrong():
    assert errors.context_of("by zero") == {"what": "by zero"} and errors.context_of("") == {"what": ""}


@pytest.mark.parametrize(
    ("kind", "builtin", "exit_code"),
    [
        (errors.InputError, ValueError, 3),
        (errors.MissingInputError, FileNotFoundError, 3),
        (errors.PolicyError, ValueError, 3),
        (errors.StaleError, RuntimeError, 3),
        (errors.GateRefusal, RuntimeError, 1),
        (errors.UsageError, ValueError, 2),
        (errors.EnvironmentFault, OSError, 4),
    ],
)
def test_each_error_is_also_the_builtin_a_caller_would_catch(kind, builtin, exit_code):
    assert issubclass(kind, builtin)
    assert kind.exit_code == exit_code
