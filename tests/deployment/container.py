"""A process of an image, confined as a careful container engine would: its own user, root, mounts and processes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.deployment.image import Image

_PATIENCE_S = 60

_CONFINE = """
set -eu
root=$1 models=$2 user=$3; shift 3
mount --bind "$root" "$root"
mount --bind -o ro "$models" "$root/models"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,size=64k tmpfs "$root/dev"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777,nosuid,nodev,noexec,size=64m tmpfs "$root/tmp"
mount -t tmpfs -o mode=700,uid=${user%:*},gid=${user#*:},nosuid,nodev,noexec tmpfs "$root/videos"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --groups= --userspec="$user" "$root" "$@"
"""
"""Read-only root, a small /tmp and a volume for videos, both without programs, no new privileges: what
docker-compose.yml asks for. The user's number leaves no capabilities. The network stays the machine's: the tests come
in by the loopback."""


@dataclass(frozen=True)
class Container:
    """A running container."""

    image: Image
    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def first_pid(self) -> int:
        """The number that the machine gives its first process."""
        number = self.process.pid
        return int(Path(f"/proc/{number}/task/{number}/children").read_text().split()[0])

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run one more command in it, as its user."""
        within = ["nsenter", "--target", str(self.first_pid), "--mount", "--pid", "setpriv", "--no-new-privs"]
        confined = ["chroot", "--groups=", f"--userspec={self.image.user}", str(self.image.root)]
        environment = _environment(self.image, int(self.url.rsplit(":", 1)[1]))
        return subprocess.run(
            [*within, *confined, *command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def stop(self) -> int:
        """Send its first process the image's stop signal, as `docker stop` does; its exit status."""
        os.kill(self.first_pid, signal.Signals[self.image.config["StopSignal"]])
        return self.process.wait(_PATIENCE_S)


@contextmanager
def container(image: Image, models: Path, port: int, log: Path) -> Iterator[Container]:
    """Run the image's own command over a model repository, and wait until it is ready."""
    apart = [_path("unshare"), "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _CONFINE, "confine"]
    command = [*apart, str(image.root), str(models), image.user, *image.entrypoint]
    environment = _environment(image, port)
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            running = Container(image, f"http://127.0.0.1:{port}", process, log)
            _wait_until_ready(running)
            yield running
        finally:
            if process.poll() is None:
                _kill(process)


def _kill(unshare: "subprocess.Popen[bytes]") -> None:
    """End the first process of the namespace, which takes all others with it, and ``unshare``, which waits for it.

    It changed its user, and by that no longer dies with ``unshare`` (PR_SET_PDEATHSIG).
    """
    number = unshare.pid
    children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    for process in children or [number]:
        os.kill(int(process), signal.SIGKILL)


def _environment(image: Image, port: int) -> dict[str, str]:
    """The image's own, but it listens where only this machine hears it."""
    return {**image.environment, "VITRAIL_HOST": "127.0.0.1", "VITRAIL_PORT": str(port)}


def _wait_until_ready(running: Container) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not _answers(f"{running.url}/readyz"):
        assert running.process.poll() is None, f"it ended with {running.process.returncode}: {running.log.read_text()}"
        assert time.monotonic() < end, running.log.read_text()
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def _path(tool: str) -> str:
    found = shutil.which(tool)
    assert found is not None
    return found
