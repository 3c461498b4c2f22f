"""Pictures to verify with: photographs from a folder where one is given, and drawn ones to fill up."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from build_engines.artifact import Artifact, BuildFailure, Step, known
from contract.image import ImageTooLarge, InvalidImage, decode
from contract.preprocess import Pixels, PreprocessSpec, preprocess

COUNT = 8
_CLIPS = 3
_SEED = 20_260


def sample(artifact: Artifact) -> Artifact:
    """Collect `COUNT` pictures of the network's size; the same ones in every build."""
    spec = known(artifact.preprocess)
    folder = artifact.order.images
    if spec.frames is not None:
        return artifact.having(samples=np.stack([_clip(spec, index) for index in range(_CLIPS)]))
    photographs = _photograph() if folder is None else _photographs(folder)
    fitted = [preprocess(_with_trimap(pixels) if spec.trimap else pixels, spec)[0] for pixels in photographs]
    drawn = [draw(index, spec.height, spec.width) for index in range(COUNT - len(fitted))]
    return artifact.having(
        samples=np.stack([*fitted, *(_with_trimap(picture) if spec.trimap else picture for picture in drawn)])
    )


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


def _clip(spec: PreprocessSpec, index: int) -> Pixels:
    """A clip uint8 [T, H, W, 3]: a drawn picture that drifts to the right and grows darker."""
    picture, count = draw(index, spec.height, spec.width), spec.frames or 1
    steps = range(count)
    return np.stack(
        [
            np.roll(picture, step * spec.width // (4 * count), axis=1) // np.uint8(1 + (step > count // 2))
            for step in steps
        ]
    )


def _with_trimap(picture: Pixels) -> Pixels:
    """The picture uint8 [H, W, 4] with a fourth channel: a disc of foreground, an unknown ring, and background."""
    height, width = picture.shape[:2]
    rows, columns = np.ogrid[:height, :width]
    distance = np.hypot((rows - height / 2) / height, (columns - width / 2) / width)
    trimap = np.select([distance < 0.2, distance < 0.35], [np.uint8(255), np.uint8(128)], np.uint8(0))
    return np.dstack([picture, trimap])


def _photograph() -> list[Pixels]:
    """Four parts of the photograph that matplotlib brings along, where it is installed (it is, for drawing)."""
    if find_spec("matplotlib") is None:
        return []
    path = Path(str(files("matplotlib"))) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    if not path.is_file():
        return []
    whole = decode(path.read_bytes())
    height, width = whole.shape[:2]
    half = whole[: height * 2 // 3, : width * 2 // 3], whole[height // 3 :, width // 3 :], whole[::-1, ::-1]
    return [whole, *(np.ascontiguousarray(part) for part in half)]


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
