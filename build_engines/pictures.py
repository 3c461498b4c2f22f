"""Pictures to try a network with: parts of a photograph, and drawn ones; the same ones in every build."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from contract.image import decode
from contract.preprocess import Floats, Interpolation, Pixels, PreprocessSpec, Resize, preprocess

_SEED = 20_260
_MEAN, _STD = 0.45, 0.225
"""About those of ImageNet; what a network was trained with hardly differs."""


def of(spec: PreprocessSpec, count: int, photographs: list[Pixels] | None = None) -> Pixels:
    """Pictures uint8 [count, *spec.input_shape]: the photographs, or the built-in one's parts, then drawn ones."""
    if spec.frames is not None:
        return np.stack([_clip(spec, index) for index in range(count)])
    found = (photograph() if photographs is None else photographs)[:count]
    fitted = [preprocess(_with_trimap(pixels) if spec.trimap else pixels, spec)[0] for pixels in found]
    drawn = [draw(index, spec.height, spec.width) for index in range(count - len(fitted))]
    return np.stack([*fitted, *(_with_trimap(picture) if spec.trimap else picture for picture in drawn)])


def normalised(shape: tuple[int, ...]) -> Floats:
    """Some of them, and noise last, as a network takes them.

    f32 of this shape: [B,3,H,W], [B,4,H,W] with a trimap, or [B,T,3,H,W].
    """
    frames = shape[1] if len(shape) == 5 else None
    spec = PreprocessSpec(
        height=shape[-2],
        width=shape[-1],
        resize=Resize.STRETCH,
        interpolation=Interpolation.BILINEAR,
        frames=frames,
        trimap=shape[-3] == 4,
    )
    # Every other one, so that photographed and drawn ones are among few.
    chosen = of(spec, 2 * shape[0])[::2]
    chosen[-1] = np.random.default_rng(_SEED).integers(0, 256, chosen.shape[1:], np.uint8)
    scaled = chosen.astype(np.float32) / 255
    scaled[..., :3] = (scaled[..., :3] - _MEAN) / _STD
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


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


def photograph() -> list[Pixels]:
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
