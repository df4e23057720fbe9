"""The build of mottool that the machines of a cluster compare."""

from mottool.engines.build import build


def package(folder, linked):
    """Write a package whose folder `stages` is a link, or not."""
    stages = folder / "stages" if linked else folder / "mottool/stages"
    for parent in (folder / "mottool", stages):
        parent.mkdir(parents=True)
        (parent / "module.py").write_text("1")
    if linked:
        (folder / "mottool/stages").symlink_to("../stages")
    return folder / "mottool"


def test_a_checkout_has_the_build_of_its_installation(tmp_path):
    checkout = package(tmp_path / "checkout", linked=True)
    assert build(checkout) == build(package(tmp_path / "installed", linked=False))
    (tmp_path / "changed").mkdir()
    changed = package(tmp_path / "changed", linked=True)
    (changed / "stages/module.py").write_text("2")
    assert build(changed) != build(checkout)


def test_build_changes_with_the_source(tmp_path):
    assert build() == build.__wrapped__()
    builds = [build.__wrapped__(tmp_path)]
    for name, text in [("a.py", ""), ("a.py", "b"), ("b.py", "b")]:
        (tmp_path / name).write_text(text)
        builds.append(build.__wrapped__(tmp_path))
    assert len({*builds}) == 4
