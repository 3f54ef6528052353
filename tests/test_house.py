"""The rooms of structq: who may import whom, that no two files need each other, what is public."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = (
    "__main__", "cli", "demo", "report", "runs", "export", "data", "optimize", "evaluation",
    "journal", "modules",
    "judgments", "adapter", "engines", "decoding", "templates", "schemas", "signatures", "nano",
    "strays", "texts", "errors",
)  # fmt: skip
"""From the top to the bottom: a room imports from those below it alone."""

EVERYWHERE = frozenset({"forks", "lazy", "loops", "version"})
"""Small files beside the rooms that import nothing of structq, for all of them."""

STILL_UP: frozenset[tuple[str, str]] = frozenset()
"""Imports that still go up, (file, module): this only ever becomes shorter."""

STILL_ROUND: frozenset[frozenset[str]] = frozenset()
"""Files that still need each other, as `STILL_UP`."""


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted((ROOT / "structq").rglob("*.py"))}


def imports(module):
    """Modules of structq and training that a file imports, wherever in it."""
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level])
            whole = f"{base}.{node.module}" if node.module and node.level else node.module or base
            names = [(whole, tuple(alias.name for alias in node.names))]
        else:
            continue
        for name, parts in names:
            if name.partition(".")[0] not in ("structq", "training"):
                continue
            inner = [f"{name}.{part}" for part in parts if f"{name}.{part}" in FILES]
            # Names that a package's __init__ brings count for it, modules inside it for themselves.
            yield from inner
            if len(inner) < len(parts) or not parts:
                yield name


def room_of(module):
    return f"{module}.".split(".")[1]


def test_every_room_has_its_place():
    rooms = {room_of(module) for module in FILES} - {""}
    assert rooms <= set(ORDER) | EVERYWHERE, "name the new room in ORDER"


@pytest.mark.parametrize("room", [*ORDER, *sorted(EVERYWHERE)])
def test_imports_go_down(room):
    up = set()
    for module in FILES:
        if room_of(module) != room:
            continue
        for name in imports(module):
            other = room_of(name)
            low = other in ("", room) or (
                other in EVERYWHERE
                if other in EVERYWHERE or room in EVERYWHERE
                else ORDER.index(other) > ORDER.index(room)
            )
            # The root's names are looked up when they are used; the command line is a user of it.
            if not low or (other == "" and name == "structq" and room not in ("cli", "demo")):
                up.add((module, name))
    assert up <= STILL_UP
    assert {pair for pair in STILL_UP if room_of(pair[0]) == room} <= up, "mended: take it out"


def circles():
    """Strongly connected parts of the graph of files, by Tarjan's way."""
    graph = {module: sorted({n for n in imports(module) if n in FILES}) for module in FILES}
    del graph["structq"]  # its names are looked up when they are used
    index, low, stack, found = {}, {}, [], []

    def visit(module):
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in graph or other == module:
                continue
            if other not in index:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == index[module]:
            part = frozenset(stack[stack.index(module) :])
            del stack[stack.index(module) :]
            if len(part) > 1:
                found.append(part)

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_two_files_need_each_other():
    assert set(circles()) == STILL_ROUND


def test_training_stays_outside():
    named = [(m, n) for m in FILES for n in imports(m) if n.partition(".")[0] == "training"]
    assert named == []


def all_of(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def sorted_names(names):
    """As ruff sorts them: constants, then classes, then the rest."""
    return sorted(names, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n))


TORCH = "structq.engines.backends.transformers."


@pytest.mark.parametrize("module", [module for module, path in FILES.items() if all_of(path)])
def test_what_is_public_is_there_and_sorted(module):
    names = all_of(FILES[module])
    assert len(set(names)) == len(names)
    assert names in (sorted_names(names), sorted(names))
    if module.startswith(TORCH):
        pytest.importorskip("torch")
    found = importlib.import_module(module)
    assert [name for name in names if not hasattr(found, name)] == []
