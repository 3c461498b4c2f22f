"""Where this machine gets its packages from must stand in no file that is written."""

import os
import re
import subprocess
import sys

_HOST = re.compile(r"(?:https?://(?:[^/@\s'\"]*@)?)([A-Za-z0-9.-]+)")
_VARIABLE = re.compile(r"(PIP|UV)_\w*(INDEX|LINKS)\w*")
_PUBLIC = frozenset({"pypi.org", "files.pythonhosted.org"})


class HostTold(Exception):
    """A text holds the name of a host that nobody else is to know."""


def private_hosts() -> set[str]:
    """The hosts of the package indexes that pip and uv are set to use here, but for the public one."""
    settings = [value for name, value in os.environ.items() if _VARIABLE.fullmatch(name)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, timeout=60
    )
    return set(_HOST.findall("\n".join([*settings, done.stdout]))) - _PUBLIC


def without_hosts(text: str, hosts: set[str]) -> str:
    """The text as it is; HostTold if one of these hosts stands in it."""
    if told := sorted(host for host in hosts if host in text):
        raise HostTold(f"the text names {len(told)} host(s) that packages come from here, and is not written")
    return text
