"""Layers: a package imports from packages below it in `FLOORS` only, and without cycles."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# From bottom to top. A package or module imports from earlier lines only.
FLOORS = """
    boxes detections progress linear_assignment _version errors
    settings files locks engines splits pixel_range
    cache
    records
    motchallenge networks workdir cli
    layouts
    metrics sources checkpoints
    formats models
    runtimes
    association data
    tuning pipelines losses
    comparison
    drawing online
    training benchmarking
    recipes
    stages
    api
"""
FLOOR = {name: i for i, line in enumerate(FLOORS.strip().splitlines()) for name in line.split()}
REGISTRIES = {  # name modules above them by strings, which are imported when they are used
    "mottool.networks",
    "mottool.layouts.registry",
    "mottool.pipelines.registry",
    "mottool.runtimes.registry",
    "mottool.association.registry",
    "mottool.cli.main",
}


def modules():
    """Return the file of every module by its dotted name."""
    paths = [*ROOT.glob("mottool/**/*.py"), *ROOT.glob("stages/*.py")]
    named = {}
    for path in paths:
        if path.parent.resolve() != path.parent:
            continue  # the links to stages/ and weights/
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts if parts[0] == "mottool" else ("mottool", *parts)
        named[".".join(parts).removesuffix(".__init__")] = path
    return named


MODULES = modules()


@cache
def nodes(path):
    """Return every node of a file's syntax tree."""
    return [*ast.walk(ast.parse(path.read_text()))]


def imports(path):
    """Yield the modules of this project that a file imports anywhere."""
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mottool"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("mottool"))


def named(path):
    """Yield the modules of this project that a file names in strings."""
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            module = node.value.partition(":")[0]
            if module in MODULES and module != "mottool":
                yield module


def package(module):
    return module.split(".")[1]


def is_registry(module):
    return any(module == name or module.startswith(f"{name}.") for name in REGISTRIES)


def test_modules_import_from_lower_layers_only():
    upwards = [
        (module, name)
        for module, path in MODULES.items()
        if module.count(".") and module != "mottool.__main__"
        for name in (*imports(path), *(() if is_registry(module) else named(path)))
        if name.count(".")
        and package(name) != package(module)
        and FLOOR[package(name)] >= FLOOR[package(module)]
    ]
    assert not upwards


def test_every_package_has_a_layer():
    assert {package(name) for name in MODULES if name.count(".")} - {"__main__", "weights"} == {
        *FLOOR
    }


def test_imports_have_no_cycles():
    arrows = {name: {*imports(path)} & {*MODULES} for name, path in MODULES.items()}
    while ready := {name for name, targets in arrows.items() if not targets & {*arrows}}:
        arrows = {name: targets for name, targets in arrows.items() if name not in ready}
    assert not arrows
