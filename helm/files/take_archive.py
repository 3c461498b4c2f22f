"""Take an archive of models into use: prove its checksum, unpack it, put it in place. `ARCHIVE SHA256 FOLDER`."""  # noqa: INP001

import hashlib
import hmac
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath

_MARK = ".archive.sha256"
_SCRATCH = ".incoming"


class NotTaken(Exception):
    """The archive is not what it should be; says why, and what to do."""


def take(archive: Path, wanted: str, folder: Path) -> int:
    """Fill a folder with an archive's models, all of them or none; the number of versions.

    A container that starts a second time finds its work done. The archive is removed.

    Raises:
        NotTaken: the checksum differs, an entry would lie outside the folder or is no plain file, or there is no model.
    """
    found = _checksum(archive)
    if not hmac.compare_digest(found, wanted.lower()):
        raise NotTaken(f"{archive.name} has the checksum {found}, and not {wanted}; nothing was taken into use")
    mark = folder / _MARK
    if not mark.is_file() or mark.read_text() != found:
        scratch = folder / _SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        _unpack(archive, scratch)
        if not list(scratch.glob("*/*/card.json")):
            raise NotTaken("no model is at the archive's top; make it with `tar -C model_repository -cf models.tar .`")
        _put_in_place(scratch, folder)
        mark.write_text(found)
    archive.unlink()
    return len(list(folder.glob("*/*/card.json")))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(archive: Path, folder: Path) -> None:
    """Only folders and plain files, without their owners and modes; links could lead out."""
    with tarfile.open(archive, "r:*") as entries:
        for entry in entries:
            name = PurePosixPath(entry.name)
            if name.is_absolute() or ".." in name.parts:
                raise NotTaken(f"{entry.name!r} would lie outside the folder")
            path = folder / name
            if entry.isdir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            content = entries.extractfile(entry) if entry.isfile() else None
            if content is None:
                raise NotTaken(f"{entry.name!r} is neither a folder nor a plain file; pack with `tar --dereference`")
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("wb") as copy:
                shutil.copyfileobj(content, copy)


def _put_in_place(scratch: Path, folder: Path) -> None:
    for old in folder.iterdir():
        if old != scratch:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for new in scratch.iterdir():
        new.rename(folder / new.name)
    scratch.rmdir()


def main() -> None:
    """From the command line; ends with 1 and a sentence if the archive is not taken."""
    archive, wanted, folder = sys.argv[1:]
    try:
        versions = take(Path(archive), wanted, Path(folder))
    except (NotTaken, OSError, tarfile.TarError) as error:
        sys.exit(f"take_archive: {error}")
    print(f"{versions} versions are in place")  # noqa: T201


if __name__ == "__main__":
    main()
