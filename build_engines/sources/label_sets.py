"""Names of the classes of well-known data sets, in the order in which models number them."""

from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights
from torchvision.models.segmentation import FCN_ResNet50_Weights
from torchvision.models.video import R3D_18_Weights

from build_engines.catalog.entry import Entry, PyramidHead
from build_engines.sources import imagenet

NO_CLASS = "N/A"
"""The name of a number that stands for no class: eleven of COCO's ninety have never been used."""

COCO_91 = (NO_CLASS, *FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:])
"""By COCO's own numbers, 0 unused: as DETR and its successors number them."""
COCO_80 = tuple(name for name in COCO_91 if name != NO_CLASS)
"""The classes in use, from 0."""
_COCO_STUFF = (
    "banner, blanket, bridge, cardboard, counter, curtain, door-stuff, floor-wood, flower, fruit, gravel, house, "
    "light, mirror-stuff, net, pillow, platform, playingfield, railroad, river, road, roof, sand, sea, shelf, snow, "
    "stairs, tent, towel, wall-brick, wall-stone, wall-tile, wall-wood, water-other, window-blind, window-other, "
    "tree-merged, fence-merged, ceiling-merged, sky-other-merged, cabinet-merged, table-merged, floor-other-merged, "
    "pavement-merged, mountain-merged, grass-merged, dirt-merged, paper-merged, food-other-merged, "
    "building-other-merged, rock-merged, wall-other-merged, rug-merged"
)
COCO_PANOPTIC = (*COCO_80, *_COCO_STUFF.split(", "))
"""The 80 things, then the 53 kinds of stuff."""
VOC_21 = ("background", *FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"][1:])
"""Pascal VOC with its background as class 0."""
KINETICS_400 = tuple(R3D_18_Weights.KINETICS400_V1.meta["categories"])
_CITYSCAPES = (
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
    "rider, car, truck, bus, train, motorcycle, bicycle"
)
CITYSCAPES_19 = tuple(_CITYSCAPES.split(", "))
"""By training number."""
_ADE20K = (
    "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, "
    "door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, "
    "field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, "
    "signboard, chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, "
    "stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee "
    "table, toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, computer, swivel chair, "
    "boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, booth, "
    "television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, "
    "buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, swimming pool, stool, "
    "barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave, "
    "pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, "
    "ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag"
)
ADE20K_150 = tuple(_ADE20K.split(", "))
"""The scene-parsing benchmark's classes, from 0, without the 'other' that its masks number 0."""

_SETS: dict[str, tuple[tuple[str, ...], ...]] = {
    "coco": (COCO_80, COCO_91, COCO_PANOPTIC),
    "ade20k": (ADE20K_150,),
    "cityscapes": (CITYSCAPES_19,),
    "voc": (VOC_21, VOC_21[1:]),
    "kinetics400": (KINETICS_400,),
}


def labels_for(name: str, classes: int) -> tuple[str, ...]:
    """The labels of the set in its version with so many classes; none where it has no such version."""
    if name == "imagenet":
        return imagenet.labels_for(classes)
    return next((labels for labels in _SETS.get(name, ()) if len(labels) == classes), ())


def of_head(entry: Entry, head: PyramidHead) -> tuple[str, ...]:
    """The labels of a head's classes: those that the entry lists or names."""
    return labels_for(entry.labels, head.classes) if isinstance(entry.labels, str) else entry.labels or ()
