"""Write the Python of ``vision.proto``: its messages and their types, beside it. ``make proto`` runs this."""

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).parent
SOURCE = "vitrail/v1/vision.proto"


def generate(out: Path) -> None:
    """Write ``vitrail/v1/vision_pb2.py`` and ``.pyi`` into a folder; RuntimeError with what protoc says."""
    well_known = files("grpc_tools") / "_proto"
    out.mkdir(parents=True, exist_ok=True)
    options = [f"--proto_path={HERE}", f"--proto_path={well_known}", f"--python_out={out}", f"--pyi_out={out}"]
    if protoc.main(["protoc", *options, SOURCE]):
        raise RuntimeError(f"protoc refused {SOURCE}; see above")


if __name__ == "__main__":
    for target in sys.argv[1:] or [str(HERE)]:
        generate(Path(target))
