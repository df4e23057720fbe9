"""The pages of the papers, `examples/papers/*/README.md`: what they name in backticks exists."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

from mottool.cli.main import cli
from mottool.networks.registry import NETWORKS

PROJECT = Path(__file__).parents[2]
PAGES = sorted(PROJECT.glob("examples/papers/*/README.md"))
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FLAG = re.compile(r"--[a-z][a-z-]*")
LINES = 110

each_page = pytest.mark.parametrize("page", PAGES, ids=[path.parent.name for path in PAGES])


def spans(page):
    return [span.strip() for span in SPAN.findall(page.read_text(encoding="utf-8"))]


def commands(page):
    """The commands of mottool in backticks and in indented blocks, each in one line."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    for command in (*SPAN.findall(text), *blocks):
        if re.match(r"(\w+=\S+ )*mottool ", command):
            yield command.split(" #")[0]


def options(command):
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)}


def resolved(words):
    """The command of mottool, or of a group in it, that words name."""
    command = cli
    context = click.Context(cli)
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(context, word)
        assert found is not None, f"mottool {' '.join(words)}: there is no command {word}"
        command = found
    return command


def every_flag():
    context = click.Context(cli)
    flags, groups = options(cli), [cli]
    while groups:
        group = groups.pop()
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            flags |= options(command)
            groups += [command] if isinstance(command, click.Group) else []
    return flags


def names_in(path):
    """Functions, classes, their methods, and assigned names of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) else []
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_every_paper_has_a_page():
    assert [path.parent.name for path in PAGES] == ["cstrack", "fairmot", "jde", "outrack", "tdt"]


@each_page
def test_a_page_is_short(page):
    assert len(page.read_text(encoding="utf-8").splitlines()) <= LINES


@each_page
def test_files_and_functions_exist(page):
    pattern = re.compile(r"((?:mottool|examples|stages|tests|weights)/[\w./-]+)(?::([\w.]+))?")
    found = 0
    for span in spans(page):
        for path, name in pattern.findall(span):
            found += 1
            assert (PROJECT / path).exists(), path
            if name and path.endswith(".py"):
                assert name in names_in(PROJECT / path), f"{path} has no {name}"
    assert found


@each_page
def test_commands_and_their_flags_exist(page):
    found = 0
    for line in commands(page):
        words = shlex.split(line)
        words = words[words.index("mottool") + 1 :]
        names = [word for word in words if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)]
        command = resolved(names[:2])
        for flag in FLAG.findall(line):
            found += 1
            assert flag in options(command), f"{line}: no {flag}"
    assert found


@each_page
def test_flags_on_their_own_exist(page):
    known = every_flag()
    for span in spans(page):
        if not re.match(r"(\w+=\S+ )*(mottool|sh) ", span):
            for flag in FLAG.findall(span):
                assert flag in known, f"`{span}`: no command has {flag}"


@each_page
def test_the_page_names_networks_that_there_are(page):
    text = page.read_text(encoding="utf-8")
    assert any(name in text for name in NETWORKS)
