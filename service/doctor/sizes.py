"""Bytes as people read them."""

_STEP = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def shown(count: float) -> str:
    """E.g. ``1.5 GiB``."""
    unit = 0
    while abs(count) >= _STEP and unit < len(_UNITS) - 1:
        count /= _STEP
        unit += 1
    return f"{count:.3g} {_UNITS[unit]}" if count < 1000 else f"{count:.0f} {_UNITS[unit]}"
