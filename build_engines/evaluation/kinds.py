"""The kinds of data sets, and of masks."""

from enum import StrEnum


class Kind(StrEnum):
    """The layouts that are known."""

    CLASSES = "classes"
    """A folder of pictures for each class, as torchvision's ImageFolder reads it."""
    COCO = "coco"
    """COCO's instances: a JSON file, and the pictures that it names."""
    MASKS = "masks"
    """A mask of class numbers for each picture: ADE20K's, Cityscapes' or any such pairs."""


class MaskValues(StrEnum):
    """What a mask's numbers mean."""

    CLASSES = "classes"
    """The class's number, from 0; 255 is not judged. Cityscapes' training numbers are such."""
    ADE20K = "ade20k"
    """The class's number plus 1; 0 is not judged."""
    CITYSCAPES = "cityscapes"
    """Cityscapes' own numbers (labelIds), of which 19 are judged."""
