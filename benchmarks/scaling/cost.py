"""What a million images cost: nodes by the hour, divided by what they answer within the objective."""

from dataclasses import dataclass

from benchmarks.scaling.inputs import Day, Node


@dataclass(frozen=True, slots=True)
class NodeRate:
    """What one node holds, and what bounds it."""

    images_per_s: float
    by: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a million images, in the currency of the prices."""

    node: str
    rate: NodeRate
    full: float
    """All nodes at the sustained rate, all day."""
    reserve: float
    """With one zone's worth of nodes more."""
    for_the_peak: float
    """The same, sized for the day's highest rate and never changed."""
    autoscaled: float
    """The same, following the day, with the room that the autoscaler's target leaves."""


def cpu_node(node: Node, pod_cores: int, pod_rate: float) -> NodeRate:
    """As many embedded pods as fit."""
    pods = int(node.cores * node.usable / pod_cores)
    return NodeRate(pods * pod_rate, "processors")


def gpu_node(node: Node, gpu_rate: float, image_s: float, utilisation: float, triton_cores: float = 1.0) -> NodeRate:
    """The GPUs, or the processors beside them that decode for them, whichever is less.

    ``image_s`` is the gateway's CPU time an image; each GPU's Triton keeps ``triton_cores`` for itself.
    """
    free = max(0.0, node.cores * node.usable - node.gpus * triton_cores)
    decoded = free * utilisation / image_s
    gpus = node.gpus * gpu_rate
    return NodeRate(min(gpus, decoded), "GPU" if gpus <= decoded else "decoding")


def helped_gpu_node(
    node: Node, helper: Node, gpu_rate: float, image_s: float, utilisation: float, triton_cores: float = 1.0
) -> tuple[NodeRate, float]:
    """The GPUs at their full rate, and the price with as many CPU nodes beside them as decode the rest."""
    own = gpu_node(node, gpu_rate, image_s, utilisation, triton_cores)
    rate = node.gpus * gpu_rate
    missing = max(0.0, rate - own.images_per_s)
    helpers = missing * image_s / (helper.cores * helper.usable * utilisation)
    return NodeRate(rate, "GPU"), node.price + helpers * helper.price


def cost(name: str, rate: NodeRate, price: float, zones: int, day: Day, target: float) -> Cost:
    """A million images by a node of this price an hour; ``target`` is the load at which the autoscaler holds pods."""
    full = price / (rate.images_per_s * 3600) * 1e6
    reserve = full * zones / (zones - 1)
    return Cost(name, rate, full, reserve, reserve * day.peak, full * max(zones / (zones - 1), 1 / target))
