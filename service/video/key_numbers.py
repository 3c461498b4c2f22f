"""The numbers of key frames where no other frames are decoded, by counting the packets between them."""

from typing import Any

from av.packet import Packet


class KeyNumbers:
    """Counts packets in decoding order; each is taken for one frame.

    A packet that comes after a key frame but is shown before it (an open group of pictures) moves the key frame on.
    """

    def __init__(self) -> None:
        self.packets = 0
        self._numbers: dict[int, int] = {}
        self._latest: int | None = None

    def count(self, packet: "Packet[Any]") -> None:
        """Count the next packet of the stream."""
        stamp = packet.dts if packet.pts is None else packet.pts
        if packet.is_keyframe and stamp is not None:
            self._latest = stamp
            self._numbers[stamp] = self.packets
        elif self._latest in self._numbers and packet.pts is not None and packet.pts < self._latest:
            self._numbers[self._latest] += 1
        self.packets += 1

    def pop(self, stamp: int | None) -> int | None:
        """The number of the frame with this stamp, counted from the first packet; None where it is not known."""
        return None if stamp is None else self._numbers.pop(stamp, None)
