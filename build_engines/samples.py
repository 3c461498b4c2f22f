"""Pictures to verify with: photographs from a folder where one is given, and drawn ones to fill up."""

from pathlib import Path

import cv2
import numpy as np

from build_engines.artifact import Artifact, BuildFailure, Step, known
from contract.image import ImageTooLarge, InvalidImage, decode
from contract.preprocess import Pixels, preprocess

COUNT = 8
_SEED = 20_260


def sample(artifact: Artifact) -> Artifact:
    """Collect `COUNT` pictures of the network's size; the same ones in every build."""
    spec = known(artifact.preprocess)
    folder = artifact.order.images
    photographs = [] if folder is None else [preprocess(pixels, spec)[0] for pixels in _photographs(folder)]
    drawn = [draw(index, spec.height, spec.width) for index in range(COUNT - len(photographs))]
    return artifact.having(samples=np.stack([*photographs, *drawn]))


STEP = Step("sample", sample, requires=("preprocess",), ensures=("samples",))


def draw(index: int, height: int, width: int) -> Pixels:
    """Draw a picture uint8 [height, width, 3]: a shaded ground, some bodies, a line of writing, grain.

    It has edges, gradients and scales as photographs do, so that activations are as wide as theirs. Equal arguments
    give equal pictures, and different indices different ones.
    """
    random = np.random.default_rng(_SEED + index)
    corners = random.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    picture = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    for _ in range(6):
        colour = tuple(random.integers(0, 256, 3).tolist())
        centre = (int(random.integers(width)), int(random.integers(height)))
        axes = (int(width * random.uniform(0.05, 0.3)), int(height * random.uniform(0.05, 0.3)))
        cv2.ellipse(picture, centre, axes, random.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    size, place = min(height, width) / 224, (width // 10, int(height * random.uniform(0.3, 0.9)))
    cv2.putText(picture, f"Vitrail {index}", place, cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 2, cv2.LINE_AA)
    grain = random.normal(0, 6, picture.shape)
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


def _photographs(folder: Path) -> list[Pixels]:
    if not folder.is_dir():
        raise BuildFailure(f"there is no folder {folder}", "give --images a folder of photographs")
    found: list[Pixels] = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            found.append(decode(path.read_bytes()))
        except (InvalidImage, ImageTooLarge):
            continue  # A folder may hold other things too.
        if len(found) == COUNT:
            break
    if not found:
        raise BuildFailure(f"{folder} holds no image that can be read", "give --images a folder of photographs")
    return found
