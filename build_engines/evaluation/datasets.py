"""Which data set lies in a folder, and what its pictures and truths are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_engines.artifact import BuildFailure
from build_engines.evaluation.kinds import Kind, MaskValues

PICTURES = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm", ".pgm"]
)
"""The suffixes of what counts as a picture, in lower case."""

_COCO_KEYS = {"images", "annotations", "categories"}


@dataclass(frozen=True, slots=True)
class ClassFolders:
    """Pictures with their folders' names."""

    classes: tuple[str, ...]
    pictures: tuple[tuple[Path, str], ...]

    kind = Kind.CLASSES


@dataclass(frozen=True, slots=True)
class CocoInstances:
    """COCO's records, and where each picture lies."""

    categories: tuple[dict[str, Any], ...]
    images: tuple[dict[str, Any], ...]
    annotations: tuple[dict[str, Any], ...]
    paths: tuple[Path, ...]
    """A path for each of ``images``; there need be no file."""

    kind = Kind.COCO


@dataclass(frozen=True, slots=True)
class MaskPairs:
    """Pictures with their masks."""

    pairs: tuple[tuple[Path, Path], ...]
    values: MaskValues
    classes: int | None = None
    """How many classes there are; None where nobody says."""
    names: tuple[str, ...] = ()
    """The classes' names, in order; empty where nobody says."""

    kind = Kind.MASKS


DataSet = ClassFolders | CocoInstances | MaskPairs


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """All pictures in a folder and below it; BuildFailure where there is none."""
    found = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file()))
    if not found:
        raise BuildFailure(f"{folder} holds no pictures", "give a folder of pictures with --data")
    return found


def open_data_set(
    folder: Path, kind: Kind | None = None, annotations: Path | None = None, values: MaskValues | None = None
) -> DataSet:
    """The data set in a folder, of the kind that its layout shows or that is asked for.

    ``annotations`` chooses COCO's file where there are several; ``values`` says what the numbers of masks mean where
    the layout does not. Raises BuildFailure where there is none, or none of the kind asked for.
    """
    if not folder.is_dir():
        raise BuildFailure(f"{folder} is not a folder", "give the data set's folder with --data")
    if annotations is not None:
        kind = Kind.COCO
    found = (
        reader(folder)
        for reader_kind, reader in {
            Kind.COCO: lambda root: _coco(root, annotations),
            Kind.MASKS: lambda root: _masks(root, values),
            Kind.CLASSES: _class_folders,
        }.items()
        if kind in (None, reader_kind)
    )
    data = next((data for data in found if data is not None), None)
    if data is None:
        raise BuildFailure(
            f"{folder} holds no data set" + (f" of the kind {kind}" if kind else " of a layout that is known"),
            "lay it out as a folder of pictures for each class, as COCO's JSON beside its images, or as pictures with "
            "masks (images/ and annotations/, leftImg8bit/ and gtFine/, or NAME.jpg with NAME.png)",
        )
    return data


def _class_folders(folder: Path) -> ClassFolders | None:
    """``folder/<class>/**/*.jpg``; a class folder without pictures does not count."""
    pictures = [
        (path, child.name)
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
        for path in _pictures_below(child)
    ]
    classes = tuple(dict.fromkeys(name for _, name in pictures))
    return ClassFolders(classes, tuple(pictures)) if pictures else None


def _coco(folder: Path, annotations: Path | None) -> CocoInstances | None:
    """``annotations/instances_*.json`` or any other JSON of that form, and pictures beside or below."""
    file = annotations or _coco_file(folder)
    if file is None:
        return None
    content = _read_json(file)
    if not isinstance(content, dict) or not content.keys() >= _COCO_KEYS:
        if annotations is None:
            return None
        raise BuildFailure(f"{file.name} has not the form of COCO's instances", f"it needs {sorted(_COCO_KEYS)}")
    try:
        paths = _coco_paths(folder, file, [str(image["file_name"]) for image in content["images"]])
    except (KeyError, TypeError) as error:
        raise BuildFailure(f"{file.name} has an image without {error}", "mend the annotations") from error
    return CocoInstances(
        tuple(content["categories"]), tuple(content["images"]), tuple(content["annotations"]), tuple(paths)
    )


def _coco_file(folder: Path) -> Path | None:
    """The only JSON file of the folder, or of its ``annotations``; of several, the only one of instances."""
    files = [*sorted(folder.glob("*.json")), *sorted(folder.glob("annotations/*.json"))]
    candidates = [file for file in files if file.name.startswith("instances")] or files
    if len(candidates) > 1:
        names = ", ".join(file.name for file in candidates)
        raise BuildFailure(f"there are several annotation files: {names}", "choose one with --annotations FILE")
    return candidates[0] if candidates else None


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise BuildFailure(f"{file.name} cannot be read: {error.strerror}", "give a readable file") from error
    except ValueError as error:
        raise BuildFailure(f"{file.name} is not JSON: {error}", "mend or replace the annotations") from error


def _coco_paths(folder: Path, file: Path, names: Sequence[str]) -> list[Path]:
    """Each picture's place: the first of the usual folders that has it, else the first of them."""
    split = file.stem.removeprefix("instances_")
    roots = [folder, folder / "images", folder / split, folder / "images" / split]
    return [next((path for root in roots if (path := root / name).is_file()), folder / name) for name in names]


def _masks(folder: Path, values: MaskValues | None) -> MaskPairs | None:
    return _cityscapes(folder, values) or _ade20k(folder, values) or _side_by_side(folder, values)


def _cityscapes(folder: Path, values: MaskValues | None) -> MaskPairs | None:
    """``leftImg8bit/<split>/<city>/X_leftImg8bit.png`` and ``gtFine/<split>/<city>/X_gtFine_label….png``."""
    root, truth = folder / "leftImg8bit", folder / "gtFine"
    if not (root.is_dir() and truth.is_dir()):
        return None
    for ending, meaning in {"labelTrainIds": MaskValues.CLASSES, "labelIds": MaskValues.CITYSCAPES}.items():
        pairs = [
            (path, mask)
            for path in sorted(root.rglob("*_leftImg8bit.png"))
            if (mask := _cityscapes_mask(truth / path.relative_to(root), ending)).is_file()
        ]
        if pairs:
            return MaskPairs(tuple(pairs), values or meaning, 19, _names(folder))
    return None


def _cityscapes_mask(path: Path, ending: str) -> Path:
    return path.with_name(path.name.replace("_leftImg8bit", f"_gtFine_{ending}"))


def _ade20k(folder: Path, values: MaskValues | None) -> MaskPairs | None:
    """``images/**/X.jpg`` and ``annotations/**/X.png``."""
    root, truth = folder / "images", folder / "annotations"
    if not (root.is_dir() and truth.is_dir()):
        return None
    pictures = _pictures_below(root)
    masks = ((path, (truth / path.relative_to(root)).with_suffix(".png")) for path in pictures)
    return _pairs(folder, [(path, mask) for path, mask in masks if mask.is_file()], values)


def _side_by_side(folder: Path, values: MaskValues | None) -> MaskPairs | None:
    """``X.jpg`` and ``X.png`` in one folder."""
    pictures = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES - {".png"}]
    masks = ((path, path.with_suffix(".png")) for path in pictures)
    return _pairs(folder, [(path, mask) for path, mask in masks if mask.is_file()], values)


def _pairs(folder: Path, pairs: list[tuple[Path, Path]], values: MaskValues | None) -> MaskPairs | None:
    if not pairs:
        return None
    names = _names(folder)
    if values is None:
        is_ade20k = (folder / "objectInfo150.txt").is_file() or pairs[0][0].name.startswith("ADE_")
        values = MaskValues.ADE20K if is_ade20k else MaskValues.CLASSES
    classes = 150 if values is MaskValues.ADE20K else 19 if values is MaskValues.CITYSCAPES else None
    return MaskPairs(tuple(pairs), values, len(names) or classes, names)


def _names(folder: Path) -> tuple[str, ...]:
    """The classes' names: a line each in ``classes.txt``, or the last column of ADE20K's ``objectInfo150.txt``."""
    if (file := folder / "classes.txt").is_file():
        return tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    if (file := folder / "objectInfo150.txt").is_file():
        rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
        return tuple(row[-1].strip() for row in rows if row[0].strip().isdigit())
    return ()


def _pictures_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
