"""The folder of the video jobs, and the disk below it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.sizes import shown
from service.settings import Settings

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OF_A_NETWORK = re.compile(r"nfs.*|cifs|smb.*|9p|virtiofs|ceph|glusterfs|lustre|fuse\..+|fuse")
_OF_A_CONTAINER = frozenset({"overlay", "aufs"})
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Disk:
    """What there is, and what is asked for, in bytes."""

    folder: Path
    there: Path
    """The folder, or the one above it that is there already."""
    writable: bool
    is_folder: bool
    free: int | None
    kind: str
    """The file system's, e.g. ``ext4``; empty where the system does not tell."""
    keep_free: int
    budget: int | None
    """``--video-disk-bytes``."""


def read(settings: Settings, mounts: Path = Path("/proc/self/mountinfo")) -> Disk:
    """Ask the system; nothing is written to find out whether it could be."""
    folder = settings.videos.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        room = os.statvfs(there)
        free = room.f_frsize * room.f_bavail
    except OSError:
        free = None
    return Disk(
        folder=settings.videos,
        there=there,
        writable=os.access(there, os.W_OK | os.X_OK),
        is_folder=there.is_dir(),
        free=free,
        kind=_kind(there.resolve(), mounts),
        keep_free=settings.video_min_free_bytes,
        budget=settings.video_disk_bytes,
    )


def folder(facts: Disk) -> Iterator[Finding]:
    """Whether videos can be kept there."""
    where = "it" if facts.there == facts.folder.absolute() else f"{facts.there}, where it is to be made,"
    if not facts.is_folder:
        yield problem(f"{facts.folder}: {facts.there} is no folder", "name a folder with --videos")
    elif not facts.writable:
        yield problem(
            f"{facts.folder}: this user may not write into {facts.there}, so no videos are taken",
            "mount a volume there that this user may write (fsGroup in Kubernetes), or name another with --videos",
        )
    else:
        yield ok(f"{facts.folder}: {where} can be written")


def room(facts: Disk) -> Iterator[Finding]:
    """Whether there is room for jobs."""
    if facts.free is None:
        yield warning("how much room there is cannot be known", "let this user enter the folder of --videos")
        return
    found = f"{shown(facts.free)} free, of which {shown(facts.keep_free)} stay free"
    if facts.free <= facts.keep_free:
        yield problem(f"{found}: no job is taken", "make room, give a larger volume, or lower --video-min-free-bytes")
    elif facts.budget is not None and facts.budget > facts.free - facts.keep_free:
        yield warning(
            f"{found}, and jobs may take {shown(facts.budget)}",
            f"set --video-disk-bytes to at most {shown(facts.free - facts.keep_free)}, or give a larger volume",
        )
    else:
        yield ok(found)


def file_system(facts: Disk) -> Iterator[Finding]:
    """Whether what is kept there outlives the container, and not in memory."""
    if facts.kind in _IN_MEMORY:
        yield warning(f"videos are kept in memory ({facts.kind})", "mount a volume of a disk at --videos")
    elif facts.kind in _OF_A_CONTAINER:
        yield warning(
            f"videos go with the container ({facts.kind})", "mount a volume at --videos to keep jobs over a restart"
        )
    elif _OF_A_NETWORK.fullmatch(facts.kind):
        yield warning(
            f"videos are kept over a network ({facts.kind}), where frames wait for it",
            "mount a volume of a disk of this machine; give each gateway a folder of its own in any case",
        )
    else:
        yield ok(facts.kind or "the system does not tell which it is")


def _kind(path: Path, mounts: Path) -> str:
    """The type of the file system that is mounted nearest above a path, by ``mountinfo``."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind


GROUP = group("Videos", read, {"videos folder": folder, "videos' room": room, "videos' file system": file_system})
