"""The peers' environment is made when its list changes, and does without what can't be had."""

import zipfile

from benchmarks._catalogue import PEERS
from benchmarks._environment import fingerprint, prepare, read_requirements


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
    """The list names each peer once, with a version."""
    requirements = read_requirements()
    assert set(requirements) == set(PEERS)
    assert all(line.count("==") == 1 for line in requirements.values())


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
