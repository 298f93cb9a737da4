"""Peers' environments are made when their lists change, and do without what can't be had."""

import zipfile

from benchmarks._catalogue import PEERS
from benchmarks._environment import ENVIRONMENTS, fingerprint, prepare, read_requirements
from benchmarks._run import package_of


def make_wheel(directory):
    """Return a package that can be installed without a network."""
    path = directory / "nothing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("nothing.py", "")
        info = "nothing-1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
        wheel.writestr(
            info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(info + "RECORD", "")
    return str(path)


def test_every_peer_is_pinned() -> None:
    """One list names each peer, with a version; and trio, which one can do without."""
    lists = [read_requirements(path) for path in ENVIRONMENTS.values()]
    packages = sorted(package for requirements in lists for package in requirements)
    assert packages == sorted({*map(package_of, PEERS), "trio"})
    assert all(line.count("==") == 1 for lines in lists for line in lines.values())


def test_extras_are_no_part_of_a_name(tmp_path) -> None:
    """A package is found by its name alone."""
    path = tmp_path / "requirements.txt"
    path.write_text("# some\none[redis]==1.0\ntwo==2.0  # why\n")
    assert read_requirements(path) == {"one": "one[redis]==1.0", "two": "two==2.0"}


def test_another_list_is_another_environment() -> None:
    """So is another version of a peer."""
    assert fingerprint(["a==1"]) == fingerprint(["a==1"])
    assert fingerprint(["a==1"]) != fingerprint(["a==2"])


async def test_what_cannot_be_installed_is_told_and_tried_again(tmp_path) -> None:
    """The others are installed; when all are, the environment is kept as it is."""
    wheel, missing = make_wheel(tmp_path), str(tmp_path / "missing-1.0-py3-none-any.whl")
    requirements, directory, told = tmp_path / "requirements.txt", tmp_path / "venv", []

    async def again():
        told.clear()
        return await prepare(told.append, directory=directory, requirements=requirements)

    requirements.write_text(f"# two\n{wheel}\n{missing}\n")
    environment = await again()
    assert list(environment.missing) == [missing]
    assert "not installed: '-m pip install' says: " in environment.missing[missing]
    assert list(directory.rglob("nothing.py"))
    assert len(told) == 2
    requirements.write_text(f"{wheel}\n")
    assert (await again()).missing == {}
    assert len(told) == 1
    assert (await again()).python == environment.python
    assert told == []
