"""helm/files/take_archive.py: an archive is taken whole and proved, or not at all."""

import hashlib
import io
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helm.chart import FOLDER

SCRIPT = FOLDER / "files" / "take_archive.py"
MODELS = {"cat/config.pbtxt": "c", "cat/1/card.json": "1", "cat/1/model.onnx": "m", "cat/2/card.json": "2"}


def packed(path: Path, files: Mapping[str, str], mode: str = "w", **more: object) -> str:
    """Write an archive of these files; its checksum. ``more`` are attributes of each entry."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            for attribute, value in more.items():
                setattr(entry, attribute, value)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def taken(archive: Path, checksum: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the script as the pod does."""
    command = [sys.executable, "-I", str(SCRIPT), str(archive), checksum, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder, hidden ones left out."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Where an archive is fetched to."""
    return tmp_path / "models.tar"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The volume of the models, empty."""
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_models_are_put_in_place(mode: str, archive: Path, folder: Path) -> None:
    """Compressed or not, all files are there, and the archive makes room."""
    done = taken(archive, packed(archive, MODELS, mode), folder)
    assert (done.returncode, done.stdout) == (0, "2 versions are in place\n")
    assert contents(folder) == MODELS
    assert not archive.exists()


def test_a_wrong_checksum_takes_nothing(archive: Path, folder: Path) -> None:
    """The volume stays empty, and the message has both checksums."""
    checksum = packed(archive, MODELS)
    done = taken(archive, "0" * 64, folder)
    assert done.returncode == 1
    assert checksum in done.stderr
    assert "0" * 64 in done.stderr
    assert list(folder.iterdir()) == []


def test_a_second_start_changes_nothing(archive: Path, folder: Path) -> None:
    """A container that starts again over the same volume finds its work done."""
    for _ in range(2):
        assert taken(archive, packed(archive, MODELS), folder).returncode == 0
    assert contents(folder) == MODELS


def test_another_archive_takes_the_place_of_the_first(archive: Path, folder: Path) -> None:
    """Nothing of the old one stays."""
    taken(archive, packed(archive, MODELS), folder)
    taken(archive, packed(archive, {"dog/1/card.json": "d"}), folder)
    assert contents(folder) == {"dog/1/card.json": "d"}


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "cat/../../outside"])
def test_nothing_leads_out_of_the_folder(name: str, archive: Path, folder: Path) -> None:
    """An entry outside the volume is refused, and nothing is in place."""
    done = taken(archive, packed(archive, {**MODELS, name: "x"}), folder)
    assert done.returncode == 1
    assert "would lie outside the folder" in done.stderr
    assert contents(folder).keys() <= {f".incoming/{one}" for one in MODELS}
    assert not (folder.parent / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE], ids=range(4))
def test_links_and_devices_are_refused(kind: bytes, archive: Path, folder: Path) -> None:
    """Only folders and plain files are unpacked."""
    done = taken(archive, packed(archive, {"cat/1/card.json": ""}, type=kind, linkname="/etc/passwd"), folder)
    assert done.returncode == 1
    assert "neither a folder nor a plain file" in done.stderr


def test_models_must_stand_at_the_top(archive: Path, folder: Path) -> None:
    """An archive of the folder itself would be a repository without models; the message says how to pack."""
    wrapped = {f"model_repository/{name}": text for name, text in MODELS.items()}
    done = taken(archive, packed(archive, wrapped), folder)
    assert done.returncode == 1
    assert "tar -C model_repository -cf models.tar ." in done.stderr


def test_an_archive_that_is_none(archive: Path, folder: Path) -> None:
    """A file of another kind, or none at all, is told in a sentence."""
    archive.write_text("no archive")
    for path, checksum in ((archive, hashlib.sha256(b"no archive").hexdigest()), (archive.with_name("none"), "0" * 64)):
        done = taken(path, checksum, folder)
        assert done.returncode == 1
        assert done.stderr.startswith("take_archive: ")


def test_it_needs_nothing_of_the_project() -> None:
    """It runs in any Python 3.11, by its standard library alone."""
    names = set(runpy.run_path(str(SCRIPT)))
    assert {"take", "NotTaken"} <= names
    imported = {
        line.split()[1].partition(".")[0]
        for line in SCRIPT.read_text().splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported <= sys.stdlib_module_names
