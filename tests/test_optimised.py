"""What `python -O` and `-OO` remove, asserts and docstrings, must change nothing."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chalicelib.domain import errors
from chalicelib.wire.errors import error_document

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "chalicelib").rglob("*.py"))


def test_errors_keep_their_texts_without_docstrings() -> None:
    """ERR-01."""
    code = (
        "import json; "
        "from chalicelib.domain import errors; "
        "from chalicelib.wire.errors import error_document; "
        "found = {name: each for name, each in vars(errors).items() "
        "if isinstance(each, type) and issubclass(each, errors.OpenBookingError)}; "
        "print(json.dumps({name: [str(each()), error_document(each('this time'))] "
        "for name, each in found.items()})); "
        "assert False, 'asserts are on'"
    )
    checked = subprocess.run(
        [sys.executable, "-OO", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    expected = {
        name: [str(found()), error_document(found("this time"))]
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.OpenBookingError)
    }
    assert len(expected) > 40
    assert json.loads(checked.stdout) == expected


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_asserts_state_types_only(path: Path) -> None:
    """An assert that decided anything would decide it no longer under `-O`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Assert):
            parts = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
            assert all(map(_narrows_a_type, parts)), ast.unparse(node)


def _narrows_a_type(test: ast.expr) -> bool:
    match test:
        case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.Call(func=ast.Name(id="isinstance")):
            return True
    return False
