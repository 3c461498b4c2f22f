"""What live streams may take, and how long they wait."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """The limits of all live streams of a service; times are seconds."""

    streams: int = 8
    """At the same time, those included whose thread has not gone yet."""
    streams_per_owner: int = 4
    """Of one caller."""
    readers: int = 32
    """Of the results of one stream."""
    lines: int = 64
    """That wait for a slow reader; the oldest are lost first …"""
    line_bytes: int = 16 << 20
    """… also where they take more than this; the newest line always stays."""
    open_timeout_s: float = 10.0
    """How long a source may take until its streams are known."""
    read_timeout_s: float = 5.0
    """How long a source may say nothing; also how soon at the latest its thread notices the stream's end."""
    stall_s: float = 15.0
    """How long a source may send anything but frames that can be decoded; four times that with sample=key."""
    frame_timeout_s: float = 5.0
    """A frame that has no answer then is dropped."""
    first_pause_s: float = 0.5
    """Before the second try to connect; twice as many each time …"""
    longest_pause_s: float = 30.0
    """… up to this."""
    steady_s: float = 10.0
    """A connection that has given frames for so long was a good one: the next pause is the first one again."""
    invalid_tries: int = 3
    """Times that a source gives what is no video before it ever gave one; then the stream fails."""
    failures: int = 25
    """Frames in a row of which the model makes nonsense; then the stream fails."""
    end_wait_s: float = 1.0
    """How long ending a stream waits for its thread, which goes by itself later if its source is silent."""
    kept_s: float = 600.0
    """How long a stream is listed after its end …"""
    kept: int = 100
    """… and how many such streams are, at most."""
