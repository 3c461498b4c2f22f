"""All tasks, by name: the one place where a new task is added."""

from contract.task import Task
from contract.tasks.classify import CLASSIFY
from contract.tasks.classify_video import CLASSIFY_VIDEO
from contract.tasks.definition import TaskDefinition
from contract.tasks.depth import DEPTH
from contract.tasks.detect import DETECT
from contract.tasks.embed import EMBED
from contract.tasks.explain import EXPLAIN
from contract.tasks.keypoints import KEYPOINTS
from contract.tasks.matte import MATTE
from contract.tasks.regions import REGIONS
from contract.tasks.restore import RESTORE
from contract.tasks.segment import SEGMENT

TASKS: dict[Task, TaskDefinition] = {
    definition.task: definition
    for definition in (
        CLASSIFY,
        DETECT,
        SEGMENT,
        EMBED,
        REGIONS,
        DEPTH,
        MATTE,
        KEYPOINTS,
        RESTORE,
        CLASSIFY_VIDEO,
        EXPLAIN,
    )
}
