"""What went wrong in a user's own code, and what its user can do about it."""

import re
import sys
import traceback
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import ExternalSource

_PACKAGES = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "pycocotools": "pycocotools",
    "mmengine": "mmengine",
    "detectron2": "git+https://github.com/facebookresearch/detectron2",
}
"""What brings a module whose name is not its package's."""
_COMPILED = {
    "MultiScaleDeformableAttention": "multi-scale deformable attention",
    "MultiScaleDeformableAttn": "multi-scale deformable attention",
    "selective_scan": "Mamba's selective scan",
    "selective_scan_cuda": "Mamba's selective scan",
    "selective_scan_cuda_core": "Mamba's selective scan",
    "selective_scan_cuda_oflex": "Mamba's selective scan",
    "mamba_ssm": "Mamba's selective scan",
    "causal_conv1d": "causal convolution",
    "causal_conv1d_cuda": "causal convolution",
    "DCN": "deformable convolution",
    "DCNv3": "deformable convolution",
    "DCNv4": "deformable convolution",
    "deform_conv_cuda": "deformable convolution",
    "natten": "neighbourhood attention",
    "flash_attn": "flash attention",
    "flash_attn_2_cuda": "flash attention",
    "swattention": "sliding-window attention",
    "swin_window_process": "Swin's fused window process",
    "spconv": "sparse convolution",
    "apex": "apex's fused kernels",
    "tensorrt": "TensorRT",
    "triton": "Triton's kernels",
}
"""Modules that are compiled for a GPU, by the operator that they bring."""
_PLAIN = "write that operator in plain torch (most official repositories have such a fallback), and name that code here"
_NO_GPU = re.compile(
    r"not compiled with CUDA|No CUDA GPUs|NVIDIA driver|CUDA is not available|not implemented on the CPU|"
    r"Not implemented on cpu|must be a CUDA tensor",
    re.IGNORECASE,
)
_UNREGISTERED = re.compile(r"'_OpNamespace' '(\w+)' object has no attribute '(\w+)'")
"""What torch.ops says of an operator that no extension has registered."""
_NO_TOOLKIT = re.compile(
    r"CUDA_HOME environment variable|Ninja is required to load C\+\+ extensions|Error building exten"
)
"""What torch.utils.cpp_extension says where it cannot compile."""
_NO_KERNEL = re.compile(r"Could not run '([\w:.]+)' with arguments from the '(\w+)' backend")


class Blame:
    """Turns whatever a user's code raises inside, SystemExit too, into a BuildFailure that says what to do."""

    def __init__(self, source: ExternalSource, what: str) -> None:
        self._source = source
        self._what = what

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, Exception | SystemExit) and not isinstance(error, BuildFailure):
            traceback.print_exception(error)
            raise _failure(error, self._source, self._what) from error


def _failure(error: BaseException, source: ExternalSource, what: str) -> BuildFailure:
    folder, text = Path(source.code_path), _first_line(error)
    where = _where(error, folder)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _missing(error.name, source, where)
    if isinstance(error, SystemExit):
        reason, remedy = f"the code ends the program{where}", "import and call it without a command line's arguments"
    elif found := _NO_KERNEL.search(text):
        reason, remedy = f"the operator {found[1]} does not run on {found[2]}{where}", _PLAIN
    elif found := _UNREGISTERED.search(text):
        name = f"{found[1]}::{found[2]}"
        reason, remedy = f"it needs the compiled operator {name}, which no package here registers{where}", _PLAIN
    elif _NO_TOOLKIT.search(text):
        reason, remedy = f"the code compiles an extension for a GPU{where}: {text}", _PLAIN
    elif operator := _compiled_operator(error, text):
        reason, remedy = f"it needs {operator}, an operator compiled for a GPU{where}: {text}", _PLAIN
    elif _NO_GPU.search(text):
        reason, remedy = f"the code wants a GPU{where}: {text}", "let it run on a CPU too: x.to(y.device), not x.cuda()"
    elif isinstance(error, ImportError):
        reason, remedy = f"{text}{where}", _version_remedy(error.name)
    else:
        reason, remedy = f"{type(error).__name__}: {text}{where}", "run the factory alone, in that folder, to see more"
    return BuildFailure(f"{what}: {reason}", remedy)


def _missing(name: str, source: ExternalSource, where: str) -> BuildFailure:
    top, folder = name.split(".", maxsplit=1)[0], Path(source.code_path)
    module = source.entry.split(":")[0]
    if module == name or module.startswith(f"{name}."):
        there = sorted(
            path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
        )
        listed = f"it has {', '.join(there[:12])}" if there else "it has no modules"
        return BuildFailure(f"there is no module {name} in {folder}; {listed}", "correct --entry or --code-path")
    if top in _COMPILED:
        return BuildFailure(
            f"needs {_COMPILED[top]}: the compiled operator {name}, which is not installed{where}", _PLAIN
        )
    if top != name and find_spec(top) is not None:
        return BuildFailure(
            f"needs {name}, which the installed {top}{_version(top)} does not have{where}", _version_remedy(top)
        )
    if sys.modules.get(top) is not None or (folder / top).is_dir():
        return BuildFailure(
            f"needs {name}, which is not in {folder}{where}",
            "check that the repository is complete (submodules, built files)",
        )
    return BuildFailure(
        f"needs the package {top}, which is not installed{where}", f"pip install {_PACKAGES.get(top, top)}"
    )


def _compiled_operator(error: BaseException, text: str) -> str | None:
    """The compiled operator that a failure is about, where its module is named in the message or the failing line."""
    lines = [frame.line or "" for frame in traceback.extract_tb(error.__traceback__)[-1:]]
    words = set(re.findall(r"[A-Za-z_]\w*", " ".join([text, *lines])))
    names = sorted(words & (_COMPILED.keys() - {"DCN", "apex", "triton", "tensorrt"}))
    return f"{_COMPILED[names[0]]} ({names[0]})" if names else None


def _where(error: BaseException, folder: Path) -> str:
    """The last line of the user's own folder that took part; the last of all where none did."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    if own:
        return f" ({Path(own[-1].filename).relative_to(folder)}, line {own[-1].lineno})"
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _version(module: str) -> str:
    try:
        return f" {version(packages_distributions().get(module, [module])[0])}"
    except PackageNotFoundError:
        return ""


def _version_remedy(module: str | None) -> str:
    top = (module or "the package").split(".")[0]
    return f"the code was written for another {top}: put that version into the code's folder, or adapt the import"
