"""A network between the gateway and Triton that can be made bad: a namespace behind a relay that delays and drops.

``tc netem`` would do it in the kernel, but many kernels of virtual machines are built without it. So packets go through
two TUN devices, one on each side, and a relay between them that drops a share of the packets and hands the others on
after a while, in their order, as ``netem loss … delay …`` does. It needs root and ``/dev/net/tun``.
"""

import asyncio
import fcntl
import itertools
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_NAMES = itertools.count(1)
_MTU = 9000
"""Jumbo frames, as data centres have them."""
_MAX_PACKET = 65_536


def obstacle() -> str | None:
    """Why there can be no such network here; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    return None if _TUN.exists() else f"there is no {_TUN}"


@dataclass
class Link:
    """Between this machine, at ``here``, and the namespace, at ``there``; its faults may be changed at any time.

    Attributes:
        loss: share of the packets that is dropped, each way; 1 is a cut cable.
        delay_s: of every packet, each way.
        carried, dropped: packets so far.
    """

    here: str
    there: str
    namespace: str
    loss: float = 0.0
    delay_s: float = 0.0
    carried: int = 0
    dropped: int = 0
    _ends: tuple[int, int] = (-1, -1)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    @property
    def command(self) -> list[str]:
        """What stands before a command that is to run behind the link."""
        return ["ip", "netns", "exec", self.namespace]

    @contextmanager
    def relaying(self) -> Iterator[None]:
        """Hand packets on, in the running event loop."""
        loop = asyncio.get_running_loop()
        for end, other in (self._ends, self._ends[::-1]):
            loop.add_reader(end, self._take, end, other)
        try:
            yield
        finally:
            for end in self._ends:
                loop.remove_reader(end)

    def _take(self, end: int, other: int) -> None:
        try:
            packet = os.read(end, _MAX_PACKET)
        except BlockingIOError:
            return
        if self._chance.random() < self.loss:
            self.dropped += 1
            return
        self.carried += 1
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, _hand_on, other, packet)
        else:
            _hand_on(other, packet)


@contextmanager
def link() -> Iterator[Link]:
    """A namespace behind a link; both are gone at the end."""
    number = next(_NAMES)
    name = f"vitrail-{os.getpid()}-{number}"
    here, there = f"10.213.{number % 250}.1", f"10.213.{number % 250}.2"
    devices = [f"vt{os.getpid() % 100_000}h{number}", f"vt{os.getpid() % 100_000}t{number}"]
    _run("ip", "netns", "add", name)
    ends: list[int] = []
    try:
        ends += [_device(device) for device in devices]
        _run("ip", "link", "set", devices[1], "netns", name)
        inside = ("ip", "netns", "exec", name)
        for prefix, device, own, peer in (((), devices[0], here, there), (inside, devices[1], there, here)):
            _run(*prefix, "ip", "addr", "add", own, "peer", peer, "dev", device)
            _run(*prefix, "ip", "link", "set", device, "mtu", str(_MTU), "up")
        _run(*inside, "ip", "link", "set", "lo", "up")
        yield Link(here, there, name, _ends=(ends[0], ends[1]))
    finally:
        # A device goes with the last that holds it open.
        for end in ends:
            os.close(end)
        _run("ip", "netns", "del", name)


def _device(name: str) -> int:
    end = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return end


def _hand_on(end: int, packet: bytes) -> None:
    try:
        os.write(end, packet)
    except (BlockingIOError, OSError):
        # A full device drops packets, as a full router does; TCP sends them again.
        return


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
