"""What a function can import, computed from small projects; test_package.py has the zips of this one."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from openbooking.deployment.contents import Contents, UnknownContentsError, Whole

APP = """
import os
from typing import TYPE_CHECKING
from chalice import Rate
from chalicelib import common

if TYPE_CHECKING:
    from chalicelib import types_only


def _routes():
    from chalicelib import api


def _called():
    from chalicelib import helped


def stream(event):
    from chalicelib.streams import handle
    return handle(_called())


def sweep(event):
    from chalicelib import sweep


match os.environ.get("_HANDLER"):
    case "app.app":
        _routes()
    case "app.stream" | "app.other":
        from chalicelib import streams
    case "app.sweep":
        from chalicelib import sweep
    case _:
        from chalicelib import local
"""
PROJECT = {
    "app.py": APP,
    "chalice/app.py": "",
    "chalicelib/__init__.py": "",
    "chalicelib/api.py": "def page():\n    from chalicelib.pages.render import show\n",
    "chalicelib/common.py": "",
    "chalicelib/helped.py": "",
    "chalicelib/local.py": "",
    "chalicelib/nobody.py": "",
    "chalicelib/pages/__init__.py": "",
    "chalicelib/pages/render.py": "import big",
    "chalicelib/pages/templates/page.html": "",
    "chalicelib/streams.py": "def handle():\n    import chalicelib.rare",
    "chalicelib/rare.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import chalicelib.types_only",
    "chalicelib/sweep.py": "from zoneinfo import ZoneInfo",
    "chalicelib/types_only.py": "",
}


def wheel(name: str, module: str, *requires: str) -> dict[str, str]:
    folder = f"{name}-1.0.dist-info"
    metadata = "".join(f"Requires-Dist: {each}\n" for each in requires)
    return {
        f"{module}/__init__.py": "",
        f"{module}/data.txt": "",
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}\n",
        f"{folder}/RECORD": f"{module}/__init__.py,sha256=x,0\n{module}/data.txt,,\n{folder}/METADATA,,\n",
    }


LIBRARIES = {
    **wheel(
        "Big_Library",
        "big",
        'small.library>=1.0; python_version > "3"',
        "extra-one; extra == 'more'",
        "absent",
    ),
    **wheel("small_library", "small"),
    **wheel("extra_one", "extra"),
    **wheel("tzdata", "tzdata"),
}


def contents(tmp_path: Path, handler: str, changed: Mapping[str, str] | None = None) -> Contents:
    path = tmp_path / "whole.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**PROJECT, **LIBRARIES, **(changed or {})}.items():
            archive.writestr(name, text)
    with zipfile.ZipFile(path) as archive:
        return Whole(archive).contents(handler)


def modules(found: Contents) -> set[str]:
    return {each.removeprefix("chalicelib.") for each in found.modules} - {"chalicelib"}


@pytest.mark.parametrize(
    ("handler", "wanted"),
    [
        ("app", {"common", "api", "pages", "pages.render"}),
        ("stream", {"common", "streams", "rare", "helped"}),
        ("sweep", {"common", "sweep"}),
    ],
)
def test_modules_that_a_handler_can_import(tmp_path: Path, handler: str, wanted: set[str]) -> None:
    assert modules(contents(tmp_path, handler)) == wanted


def test_a_library_comes_with_what_it_requires_and_without_extras(tmp_path: Path) -> None:
    found = contents(tmp_path, "app")
    assert found.distributions == {"big-library", "small-library"}
    assert {"big/data.txt", "small/__init__.py", "small_library-1.0.dist-info/METADATA"} <= found.files
    assert not any(name.startswith(("extra", "tzdata")) for name in found.files)


def test_files_beside_modules_come_with_their_package(tmp_path: Path) -> None:
    template = "chalicelib/pages/templates/page.html"
    assert template in contents(tmp_path, "app").files
    assert template not in contents(tmp_path, "stream").files


@pytest.mark.parametrize(
    "text",
    [
        "from importlib.metadata import version",
        "model.eval()",
        "import os.path, big, big.deep",
        "from big.native import x",
        "from . import streams",
        "from .pages.render import anything",
        "from chalicelib import NAME",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mypy_stubs",
    ],
)
def test_what_can_be_found_is_no_reason_to_stop(tmp_path: Path, text: str) -> None:
    changed = {
        "chalicelib/rare.py": text,
        "chalicelib/__init__.py": "NAME = 1",
        "big/deep/__init__.py": "",
        "big/native.abi3.so": "",
        "Big_Library-1.0.dist-info/RECORD": "big/__init__.py,,\nbig/data.txt,,\nbig/deep/__init__.py,,\nbig/native.abi3.so,,\n",
    }
    assert "rare" in modules(contents(tmp_path, "stream", changed))


def test_time_zones_come_with_what_reads_them(tmp_path: Path) -> None:
    assert contents(tmp_path, "sweep").distributions == {"tzdata"}


def test_app_and_chalice_are_in_each_zip(tmp_path: Path) -> None:
    assert contents(tmp_path, "stream").files == {
        "app.py",
        "chalice/app.py",
        *(f"chalicelib/{name}.py" for name in ("__init__", "common", "streams", "rare", "helped")),
    }


def test_an_import_that_is_added_is_followed(tmp_path: Path) -> None:
    changed = {"chalicelib/rare.py": "def once():\n    from chalicelib.pages import render"}
    found = contents(tmp_path, "stream", changed)
    assert modules(found) >= {"pages", "pages.render"}
    assert found.distributions == {"big-library", "small-library"}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"chalicelib/nobody.py": "import importlib\n"}, "chalicelib/nobody.py, line 1: import importlib"),
        ({"chalicelib/nobody.py": "\n__import__(name)"}, "chalicelib/nobody.py, line 2: __import__"),
        ({"chalicelib/nobody.py": "builtins.__import__(name)"}, "builtins.__import__"),
        ({"chalicelib/nobody.py": "import importlib.util"}, "Write an import statement"),
        ({"chalicelib/nobody.py": "from runpy import run_path"}, "nobody.py, line 1: from runpy"),
        ({"app.py": APP + "from importlib import import_module"}, "app.py, line "),
        (
            {"chalicelib/common.py": "import boto3"},
            "chalicelib/common.py, line 1: boto3 is not in the package. Name",
        ),
        (
            {"chalicelib/nobody.py": "def rare():\n    import yaml"},
            "chalicelib/nobody.py, line 2: yaml is not",
        ),
        ({"chalicelib/rare.py": "try:\n    import big.none\nexcept ImportError: pass"}, "big.none is not in"),
        (
            {"chalicelib/rare.py": "from chalicelib.pages import none"},
            "rare.py, line 1: chalicelib.pages.none is",
        ),
        (
            {"chalicelib/rare.py": "from chalicelib.none import x"},
            "line 1: chalicelib.none is not in the package.",
        ),
        ({"chalicelib/rare.py": "import chalicelib.none"}, "line 1: chalicelib.none is not in the package."),
        ({"chalicelib/pages/render.py": "from . import none"}, "line 1: chalicelib.pages.none is not"),
        ({"chalicelib/pages/render.py": "from ..none import x"}, "line 1: chalicelib.none is not"),
        (
            {"app.py": APP.replace("import streams", "import streeams")},
            "chalicelib.streeams is not in the package.",
        ),
        ({"chalicelib/folder/module.py": ""}, "chalicelib/folder/__init__.py is missing"),
        ({"big/unrecorded.py": ""}, "of no distribution: big/unrecorded.py"),
        ({"app.py": APP.replace("case _:", "case _ if odd:")}, "not the name of a function"),
        ({"app.py": APP.replace('case "app.app"', "case str()")}, "not the name of a function"),
        ({"app.py": APP.replace("case _:", 'case "none":')}, "no case for app.new"),
    ],
)
def test_what_cannot_be_computed_is_refused(tmp_path: Path, changed: Mapping[str, str], fault: str) -> None:
    with pytest.raises(UnknownContentsError) as refused:
        contents(tmp_path, "new", changed)
    assert fault in str(refused.value)
