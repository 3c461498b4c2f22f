"""The workload's images: 32 distinct 640 x 480 JPEG files of 85-100 KB, made from scikit-image's photographs."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

COUNT = 32
WIDTH, HEIGHT = 640, 480
_MIN_BYTES, _MAX_BYTES = 85_000, 100_000


def photographs(folder: Path) -> list[Path]:
    """Paths of the files, made in ``folder`` if they are not there."""
    paths = [folder / f"{index:02d}.jpg" for index in range(COUNT)]
    if not all(path.is_file() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        for index, path in enumerate(paths):
            path.write_bytes(_encode(_view(index)))
    return paths


def _view(index: int) -> Image.Image:
    """One of several photographs, cut and mirrored otherwise each time."""
    sources = (data.chelsea, data.coffee, data.astronaut, data.rocket, data.retina, data.hubble_deep_field)
    random = np.random.default_rng(index)
    photograph = Image.fromarray(sources[index % len(sources)]())
    side = random.uniform(0.6, 1.0)
    width = min(photograph.width, photograph.height * WIDTH / HEIGHT) * side
    height = width * HEIGHT / WIDTH
    left, top = random.uniform(0, photograph.width - width), random.uniform(0, photograph.height - height)
    view = photograph.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    # Enlarged pictures are smooth and compress too well; a camera's grain brings them to a camera's size.
    grain = random.normal(0, 6, (HEIGHT, WIDTH, 1))
    pixels = np.clip(np.asarray(view, np.float32) + grain, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels[:, ::-1] if index % 2 else pixels)


def _encode(image: Image.Image) -> bytes:
    """JPEG at the quality that brings it to the wanted size, or nearest to it."""
    files = []
    for quality in range(98, 50, -2):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        files.append(buffer.getvalue())
        if _MIN_BYTES <= len(files[-1]) <= _MAX_BYTES:
            return files[-1]
    return min(files, key=lambda file: abs(len(file) - (_MIN_BYTES + _MAX_BYTES) / 2))
