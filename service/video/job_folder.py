"""The files of one job: a folder of its own, so that nothing is left once it is removed."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Where the files of one job stand; none needs to be there."""

    path: Path

    @property
    def input(self) -> Path:
        """The video as it came."""
        return self.path / "input"

    @property
    def results(self) -> Path:
        """One line a frame."""
        return self.path / "results.ndjson"

    @property
    def annotated(self) -> Path:
        """The video with its findings drawn in."""
        return self.path / "annotated.mp4"

    def bytes_used(self) -> int:
        """What its files take on disk now."""
        used = 0
        for file in self.path.glob("*"):
            try:
                used += file.stat().st_blocks * 512
            except FileNotFoundError:  # removed since it was listed
                continue
        return used

    def remove(self) -> None:
        """Take the folder away, with all in it; silent where there is none."""
        while self.path.exists():
            with suppress(FileNotFoundError):  # another removes it at the same time
                shutil.rmtree(self.path)
