"""Pictures to verify with: photographs from a folder where one is given, and drawn ones to fill up."""

from pathlib import Path

from build_engines import pictures
from build_engines.artifact import Artifact, BuildFailure, Step, known
from contract.image import ImageTooLarge, InvalidImage, decode
from contract.preprocess import Pixels

COUNT = 8
_CLIPS = 3


def sample(artifact: Artifact) -> Artifact:
    """Collect at most `COUNT` pictures of the network's size; the same ones in every build."""
    spec = known(artifact.preprocess)
    folder = artifact.order.images
    photographs = None if folder is None else _photographs(folder)
    # One more than the largest batch, so that every slot sees several of them.
    count = _CLIPS if spec.frames else min(COUNT, artifact.order.entry.max_batch_size + 1)
    return artifact.having(samples=pictures.of(spec, count, photographs))


STEP = Step("sample", sample, requires=("preprocess",), ensures=("samples",))


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
