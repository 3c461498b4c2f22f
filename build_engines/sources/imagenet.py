"""Short, readable, distinct labels for the classes of ImageNet and its subsets."""

from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset


def labels_for(classes: int) -> tuple[str, ...]:
    """The labels in the order of the classes; none where no known subset of ImageNet has that many classes."""
    subset = infer_imagenet_subset({"num_classes": classes})
    if subset is None:
        return ()
    info = ImageNetInfo(subset)
    return distinct([info.index_to_description(index) for index in range(classes)])


def distinct(descriptions: list[str]) -> tuple[str, ...]:
    """The first synonym of each description that no earlier class has; failing that, the first with its index."""
    taken: dict[str, None] = {}
    for index, description in enumerate(descriptions):
        synonyms = [synonym.strip() for synonym in description.split(",")]
        free = (synonym for synonym in synonyms if synonym not in taken)
        taken[next(free, f"{synonyms[0]} ({index})")] = None
    return tuple(taken)
