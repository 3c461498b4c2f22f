"""The gateway's packages with the hashes of their files, so that an image is made of these files or not at all.

uv resolves pyproject.toml under constraints.txt for all platforms at once, and asks the index for the hashes of every
file of each version. The builder has no such list: where PyTorch comes from, and so which file it is, differs.
"""

import re
import subprocess
import sys
from importlib.util import find_spec

from deploy.audit.shipped import EXTRAS, PROJECT, NotInstalled

FILE = PROJECT / "requirements" / "gateway-cpu.txt"
_HEAD = """\
# What the gateway's image installs, with the hashes of the files: pip --require-hashes takes no other.
# Written by `make pins` from pyproject.toml and constraints.txt; never by hand.
"""
_PATIENCE_S = 300
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\]+)", re.MULTILINE)


def compiled() -> str:
    """The file as it is to be: the names and versions of constraints.txt, and every file's hash.

    Raises:
        NotInstalled: uv is not in this environment.
        ValueError: uv put an address into it.
    """
    if find_spec("uv") is None:
        raise NotInstalled("uv is not installed here; `make setup` installs it")
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--constraint", "constraints.txt"]
    command += [part for extra in EXTRAS["gateway"] for part in ("--extra", extra)]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
    command += ["--no-header", "--no-annotate", "--quiet"]
    done = subprocess.run(  # noqa: S603
        command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=_PATIENCE_S
    )
    if "://" in done.stdout:
        raise ValueError("the list names an address that packages come from here, and is not written")
    return _HEAD + done.stdout


def pinned(text: str) -> dict[str, str]:
    """Version by name, in the file's own spelling."""
    return {found[1]: found[2] for found in _PIN.finditer(text)}


def unhashed(text: str) -> list[str]:
    """Names without a hash; pip would refuse the whole file for one."""
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    return [found[1] for entry in entries if (found := _PIN.match(entry)) and "--hash=sha256:" not in entry]
