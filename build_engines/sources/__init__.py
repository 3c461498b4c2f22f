"""The first step: a catalogue entry becomes a network with its weights."""

from build_engines.torchvision_operators import declare_missing

# Before any module of this package imports timm, which imports torchvision.
TORCHVISION_OPERATORS = declare_missing()
