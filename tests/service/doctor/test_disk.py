"""The folder of the videos."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from service.doctor.disk import Disk, file_system, folder, read, room
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

GIB = 1 << 30
ROOMY = Disk(
    folder=Path("/videos"), there=Path("/videos"), writable=True, is_folder=True, free=100 * GIB, kind="ext4",
    keep_free=GIB, budget=None,
)  # fmt: skip


def test_a_folder_that_can_be_made(tmp_path: Path) -> None:
    """A folder that is not there is well if the one above it can be written; and it is not made."""
    facts = read(Settings(videos=tmp_path / "a" / "b"))
    assert (facts.there, levels(folder(facts)), list(tmp_path.iterdir())) == (tmp_path, [OK], [])


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """A file is no folder."""
    (tmp_path / "file").touch()
    assert levels(folder(read(Settings(videos=tmp_path / "file")))) == [PROBLEM]


def test_a_read_only_folder() -> None:
    """A folder that cannot be written is a problem, and Kubernetes' own word for it is told."""
    finding = only(folder(replace(ROOMY, writable=False)))
    assert (finding.level, "fsGroup" in finding.change) == (PROBLEM, True)


@pytest.mark.skipif(not os.access("/proc/self", os.R_OK), reason="there is no /proc")
def test_a_read_only_file_system() -> None:
    """Where nothing can be written that is found out without writing, also by root."""
    assert levels(folder(read(Settings(videos=Path("/proc/self/videos"))))) == [PROBLEM]


def test_room() -> None:
    """A full disk is a problem; a budget beyond what is free is a warning."""
    told = [ROOMY, replace(ROOMY, free=GIB // 2), replace(ROOMY, budget=200 * GIB), replace(ROOMY, free=None)]
    assert [levels(room(facts)) for facts in told] == [[OK], [PROBLEM], [WARNING], [WARNING]]


@pytest.mark.parametrize(
    ("kind", "level"),
    [("ext4", OK), ("xfs", OK), ("", OK), ("tmpfs", WARNING), ("overlay", WARNING), ("nfs4", WARNING),
     ("fuse.s3fs", WARNING)],
)  # fmt: skip
def test_file_systems(kind: str, level: str) -> None:
    """Memory, a container's own layer and a network are no places for videos."""
    assert levels(file_system(replace(ROOMY, kind=kind))) == [level]


def test_the_nearest_mount_counts(tmp_path: Path) -> None:
    """The file system is that of the mount nearest above, also where its name has a blank."""
    (tmp_path / "a b").mkdir()
    point = str(tmp_path / "a b").replace(" ", "\\040")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / {point} rw shared:1 - tmpfs none rw\n")
    found = [read(Settings(videos=tmp_path / name / "videos"), mounts).kind for name in ("a b", "c")]
    assert found == ["tmpfs", "ext4"]
