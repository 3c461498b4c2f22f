"""The catalogue: every entry is sound, and nonsense is refused."""

import pytest
from pydantic import ValidationError

from build_engines.catalog.entry import CamHead, at_resolution
from build_engines.catalog.loader import UnknownEntry, defaults, entries, find
from contract.card import Supervision
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.task import Task
from contract.tasks.table import TASKS
from tests.build_engines.orders import an_entry

HEAD = {"kind": "cam", "map_size": 8}


def test_a_fresh_installation_has_every_task() -> None:
    """The default models are five, one for each of the tasks that small models with free weights can carry out."""
    tasks = [Task.CLASSIFY, Task.DETECT, Task.EMBED, Task.REGIONS, Task.SEGMENT]
    assert sorted(entry.task for entry in defaults()) == tasks
    assert len({entry.name for entry in entries()}) == len(entries())


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_settings_are_the_tasks(entry: object) -> None:
    """What an entry sets for its task is what the task knows."""
    TASKS[entry.task].settings.model_validate(entry.task_settings)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_weak_supervision_is_labelled(entry: object) -> None:
    """An entry with an activation head says that it is weakly supervised; the others are not."""
    assert (entry.supervision is Supervision.WEAK) == isinstance(entry.head, CamHead)


def test_any_timm_model_has_an_entry() -> None:
    """timm:NAME makes a classifier of that architecture, with a name that a repository allows."""
    entry = find("timm:MobileNetV3_small_050.lamb_in1k")
    assert entry.name == "mobilenetv3_small_050.lamb_in1k"
    assert entry.source.model == "MobileNetV3_small_050.lamb_in1k"
    assert entry.task is Task.CLASSIFY


@pytest.mark.parametrize("name", ["", "Efficientnet_Lite0", "timm:", "timm:a b", "timm:../../etc"])
def test_other_names_are_unknown(name: str) -> None:
    """Anything else is unknown, and the message says what is known."""
    with pytest.raises(UnknownEntry):
        find(name)


@pytest.mark.parametrize(
    "changes",
    [
        {"head": HEAD},
        {"task": "detect"},
        {"source": {"kind": "onnx"}},
        {"name": "../escape"},
        {"max_batch_size": 2},
        {"colour": "red"},
        {"task": "segment", "head": HEAD | {"level": 1.0}},
    ],
    ids=str,
)
def test_nonsense_is_refused(changes: dict[str, object]) -> None:
    """An entry that no build could satisfy is refused when it is read."""
    with pytest.raises(ValidationError):
        an_entry(**changes)


@pytest.mark.parametrize(("side", "edge"), [(224, 256), (448, 512), (112, 128)])
def test_a_crop_stays_in_proportion(side: int, edge: int) -> None:
    """At another resolution, the same share of the image is cropped."""
    way = {"resize": Resize.SHORTEST_EDGE, "interpolation": Interpolation.BICUBIC}
    spec = PreprocessSpec(height=224, width=224, shortest_edge=256, **way)
    scaled = at_resolution(spec, side)
    assert (scaled.height, scaled.width, scaled.shortest_edge) == (side, side, edge)
