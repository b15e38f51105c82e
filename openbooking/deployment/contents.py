"""Computes what the zip of one function contains: the modules and the libraries that its handler can import.

Computed from import statements, those inside functions included: neither a list that a person keeps, nor what was
loaded in some run. So a module that is needed in a rare case only is in the zip, too. A library is always whole, with
what it requires. Everything is read from the zip of the whole project, so what is examined is what is shipped.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_string
from functools import cached_property

from openbooking.deployment.bytecode import compiled_name
from openbooking.deployment.descriptions import CALLED_SERVICES, service_of
from openbooking.deployment.errors import DeploymentError

# What no import statement shows, here and in `descriptions`. Imported module -> the library that it reads.
READS = {
    # The time zones, where the system has none, as on Lambda.
    "zoneinfo": "tzdata",
}
# Two files of Chalice, which its packager adds to every zip, without a record of what they are.
_CHALICE = "chalice"

# What imports by a name that is known only when the program runs, as it is usually written.
_DYNAMIC = frozenset(
    {
        "importlib", "importlib.import_module", "importlib.machinery", "importlib.reload", "importlib.util", "pkgutil",
        "runpy", "zipimport", "import_module", "__import__", "eval", "exec",
    }
)  # fmt: skip

# In a separate process, because this one may have imported another chalicelib. The first argument is where to look.
_GRAPH = """
import json, sys
import grimp
sys.path.insert(0, sys.argv[1])
graph = grimp.build_graph(
    "chalicelib", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
)
print(json.dumps({each: sorted(graph.find_modules_directly_imported_by(each)) for each in graph.modules}))
"""


class UnknownContentsError(DeploymentError):
    sentence = "What a function can import cannot be computed."


@dataclass(frozen=True)
class Contents:
    """Of one function's zip."""

    modules: frozenset[str]
    """Of chalicelib, with their packages."""
    distributions: frozenset[str]
    """By their normalised names."""
    files: frozenset[str]
    """By their names in the zip of the whole project."""


@dataclass(frozen=True)
class _Distribution:
    files: frozenset[str]
    requires: frozenset[str]

    @property
    def provides(self) -> set[str]:
        """Names that can be imported."""
        return {
            name.partition("/")[0] if "/" in name else name.partition(".")[0]
            for name in self.files
            if name.endswith((".py", ".so"))
        }


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Whole:
    """The zip of the whole project. Raises UnknownContentsError, also when contents are computed."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self._distributions = dict(self._read_distributions())
        self._refuse_unknown_files()
        self._refuse_folders_that_are_no_packages()
        self._refuse_dynamic_imports()
        self._refuse_missing_imports()

    def contents(self, handler: str) -> Contents:
        """What `app.<handler>` needs."""
        reached = _closure(self._imports_of_app(handler), self._imports)
        modules = {each for each in reached if each in self._modules}
        distributions = self._distributions_of(reached - modules)
        services = {service for service, module in CALLED_SERVICES.items() if module in modules}
        files = {name for name in self._names if name == "app.py" or name.startswith(f"{_CHALICE}/")}
        files |= {self._modules[module] for module in modules}
        files |= {name for name in self._data if self._package_of(name) in modules}
        for each in distributions:
            files |= {
                name
                for name in self._distributions[each].files
                if (service := service_of(name)) is None or service in services
            }
        return Contents(frozenset(modules), frozenset(distributions), frozenset(self._with_bytecode(files)))

    # --- imports ----------------------------------------------------------------------------

    @cached_property
    def _imports(self) -> Mapping[str, list[str]]:
        """Each module of chalicelib, and what it imports."""
        with tempfile.TemporaryDirectory() as scratch:
            self._archive.extractall(scratch, self._modules.values())
            made = subprocess.run(
                [sys.executable, "-I", "-c", _GRAPH, scratch], capture_output=True, text=True, check=False
            )
        if made.returncode:
            raise UnknownContentsError(made.stderr.strip())
        imports: dict[str, list[str]] = json.loads(made.stdout)
        found = {each for each in imports if each.partition(".")[0] == "chalicelib"}
        if found != self._modules.keys():
            raise UnknownContentsError(f"not understood: {', '.join(sorted(found ^ self._modules.keys()))}")
        return imports

    def _imports_of_app(self, handler: str) -> Iterator[str]:
        for each in _executed(self._trees["app.py"], handler):
            if isinstance(each, ast.Import):
                yield from (alias.name for alias in each.names)
            elif isinstance(each, ast.ImportFrom):
                assert each.module is not None, "app.py is in no package"
                yield each.module
                inner = (f"{each.module}.{alias.name}" for alias in each.names)
                yield from (name for name in inner if name in self._modules)

    def _distributions_of(self, imported: Iterable[str]) -> set[str]:
        """What provides these, and what that requires."""
        waiting = []
        for name in {each.partition(".")[0] for each in imported}:
            waiting += [each for each, made in self._distributions.items() if name in made.provides]
            waiting += [READS[name]] if name in READS else []
        reached: set[str] = set()
        while waiting:
            if (each := waiting.pop()) not in reached:
                reached.add(each)
                waiting += self._distributions[each].requires
        return reached

    def _refuse_dynamic_imports(self) -> None:
        """An import by a computed name would not be seen."""
        for name, tree in self._trees.items():
            for each in ast.walk(tree):
                if not _DYNAMIC.isdisjoint(_names_in(each)):
                    assert isinstance(each, ast.expr | ast.stmt)
                    raise UnknownContentsError(
                        f"{name}, line {each.lineno}: {ast.unparse(each)} imports by a name that only the running program "
                        "knows. Write an import statement: it can be followed."
                    )

    def _refuse_missing_imports(self) -> None:
        """A statement that is executed in a rare case only would fail on Lambda."""
        for module, name in [("app", "app.py"), *self._modules.items()]:
            package = module if name.endswith("/__init__.py") else module.rpartition(".")[0]
            for each in _import_statements(self._trees[name]):
                for imported in self._imported_by(each, package):
                    if imported.partition(".")[0] in sys.stdlib_module_names or imported in self._importable:
                        continue
                    ours = imported.partition(".")[0] == "chalicelib"
                    advice = "" if ours else " Name its library in requirements.txt, and run `make lock`."
                    raise UnknownContentsError(
                        f"{name}, line {each.lineno}: {imported} is not in the package.{advice}"
                    )

    def _imported_by(self, statement: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
        """The modules that a statement in `package` imports, by their whole names."""
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
            return
        above = package.split(".")[: len(package.split(".")) + 1 - statement.level] if statement.level else []
        origin = ".".join([*above, *([statement.module] if statement.module else [])])
        yield origin
        file = self._modules.get(origin, "")
        if file.endswith("/__init__.py"):
            defined = set(_defined(self._trees[file]))
            yield from (f"{origin}.{alias.name}" for alias in statement.names if alias.name not in defined)

    @cached_property
    def _importable(self) -> set[str]:
        """Everything in the package that an import statement can name."""
        found: set[str] = set()
        for name in self._names:
            folder, _, file = name.rpartition("/")
            if file.endswith((".py", ".so")):
                module = f"{folder}/{file.partition('.')[0]}".strip("/").removesuffix("/__init__")
                while module:
                    found.add(module.replace("/", "."))
                    module = module.rpartition("/")[0]
        return found

    # --- files ------------------------------------------------------------------------------

    @cached_property
    def _modules(self) -> Mapping[str, str]:
        """Each module of chalicelib, and its file."""
        files = (name for name in self._names if name.startswith("chalicelib/") and name.endswith(".py"))
        return {name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name for name in files}

    @cached_property
    def _data(self) -> set[str]:
        """The files of chalicelib that are no modules."""
        return {
            name
            for name in self._names
            if name.startswith("chalicelib/") and not name.endswith((".py", ".pyc"))
        }

    def _package_of(self, name: str) -> str:
        """The innermost package that contains a file."""
        folder = name.rpartition("/")[0]
        while f"{folder}/__init__.py" not in self._names:
            folder = folder.rpartition("/")[0]
        return folder.replace("/", ".")

    def _read_distributions(self) -> Iterator[tuple[str, _Distribution]]:
        """As in the records of their wheels. Requirements of extras, and what the zip has not, are not needed."""
        folders = {name.partition("/")[0] for name in self._names if name.endswith(".dist-info/METADATA")}
        names = {folder: normal(folder.removesuffix(".dist-info").rpartition("-")[0]) for folder in folders}
        shipped = frozenset(names.values())
        for folder, name in names.items():
            record = self._text(f"{folder}/RECORD").splitlines()
            files = {line.rsplit(",", 2)[0].strip('"') for line in record}
            files |= {file for file in self._names if file.startswith(f"{folder}/")}
            fields = message_from_string(self._text(f"{folder}/METADATA"))
            needed = (
                normal(match[0])
                for line in fields.get_all("Requires-Dist", [])
                if not re.search(r"\bextra\s*==", line) and (match := re.match(r"[\w.-]+", line))
            )
            yield name, _Distribution(frozenset(files & self._names), shipped.intersection(needed))

    def _text(self, name: str) -> str:
        return self._archive.read(name).decode()

    @cached_property
    def _trees(self) -> Mapping[str, ast.Module]:
        """The syntax trees of app.py and of the modules of chalicelib, by their files."""
        files = ("app.py", *self._modules.values())
        return {name: ast.parse(self._archive.read(name)) for name in files}

    def _with_bytecode(self, files: set[str]) -> set[str]:
        return files | ({compiled_name(name) for name in files if name.endswith(".py")} & self._names)

    def _refuse_folders_that_are_no_packages(self) -> None:
        for name in self._modules.values():
            if (needed := f"{name.rpartition('/')[0]}/__init__.py") not in self._names:
                raise UnknownContentsError(f"{needed} is missing: {name} would not be found.")

    def _refuse_unknown_files(self) -> None:
        """A file of the whole project that is of nothing would be in no function's zip."""
        known = {name for name in self._names if name == "app.py" or name.startswith(f"{_CHALICE}/")}
        known |= {*self._modules.values(), *self._data}
        known |= {name for each in self._distributions.values() for name in each.files}
        if unknown := self._names - self._with_bytecode(known):
            raise UnknownContentsError(f"of no distribution: {', '.join(sorted(unknown))}")


def _closure(start: Iterable[str], imports: Mapping[str, list[str]]) -> set[str]:
    """All that is imported, with the packages that contain it."""
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        if (each := waiting.pop()) not in reached:
            reached.add(each)
            waiting += imports.get(each, ())
            waiting += [each.rpartition(".")[0]] if "." in each else []
    return reached


def _executed(app: ast.Module, handler: str) -> Iterator[ast.AST]:
    """What may be executed of app.py in the function `app.<handler>`.

    The module itself, the handler, and every function whose name is in what may be executed.
    """
    functions = {each.name: each for each in app.body if isinstance(each, ast.FunctionDef)}
    waiting: list[ast.AST] = [each for each in app.body if each not in functions.values()]
    for function in functions.values():
        waiting += [*function.decorator_list, function.args]
    called = {handler} & functions.keys()
    waiting += [statement for name in called for statement in functions[name].body]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, ast.If) and _is_for_type_checkers(each):
            waiting += each.orelse
        elif isinstance(each, ast.Match) and ast.unparse(each.subject) == "os.environ.get('_HANDLER')":
            waiting += _case(each, f"app.{handler}").body
        else:
            waiting += ast.iter_child_nodes(each)
        if isinstance(each, ast.Name) and each.id in functions.keys() - called:
            called.add(each.id)
            waiting += functions[each.id].body


def _is_for_type_checkers(each: ast.If) -> bool:
    return ast.unparse(each.test) == "TYPE_CHECKING"


def _case(match: ast.Match, value: str) -> ast.match_case:
    """The first case for this value; cases are of constants or of any value."""
    for case in match.cases:
        for each in case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]:
            if case.guard or not isinstance(each, ast.MatchValue | ast.MatchAs):
                raise UnknownContentsError(f"app.py, line {each.lineno}: not the name of a function")
            if isinstance(each, ast.MatchAs) or ast.literal_eval(each.value) == value:
                return case
    raise UnknownContentsError(f"app.py has no case for {value}")


def _import_statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All of a module, but for those that only a type checker reads."""
    for each in ast.iter_child_nodes(tree):
        if isinstance(each, ast.Import | ast.ImportFrom):
            yield each
        elif isinstance(each, ast.If) and _is_for_type_checkers(each):
            for other in each.orelse:
                yield from _import_statements(ast.Module([other], []))
        else:
            yield from _import_statements(each)


def _defined(tree: ast.Module) -> Iterator[str]:
    """The names that a module has beside the modules in it."""
    for each in ast.walk(tree):
        if isinstance(each, ast.ClassDef | ast.FunctionDef):
            yield each.name
        elif isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.alias):
            yield (each.asname or each.name).partition(".")[0]


def _names_in(each: ast.AST) -> Iterator[str]:
    """What a statement imports, or the name that an expression is."""
    if isinstance(each, ast.Import):
        yield from (alias.name for alias in each.names)
    elif isinstance(each, ast.ImportFrom):
        yield from (f"{each.module}.{alias.name}" for alias in each.names)
        if each.module != "importlib":
            yield each.module or ""
    elif isinstance(each, ast.Name):
        yield each.id
    elif isinstance(each, ast.Attribute) and each.attr in ("import_module", "__import__"):
        yield each.attr
