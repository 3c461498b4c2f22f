"""Classify video: which of the known classes does the clip show? The answer is that of an image."""

from contract.task import Task
from contract.tasks.classify import ClassifyParameters, ClassifyResult, ClassifySettings, postprocess
from contract.tasks.definition import TaskDefinition

CLASSIFY_VIDEO = TaskDefinition(
    task=Task.CLASSIFY_VIDEO,
    summary="Classify clips",
    parameters=ClassifyParameters,
    settings=ClassifySettings,
    result=ClassifyResult,
    output_sets=(frozenset({"probabilities"}),),
    postprocess=postprocess,
    clips=True,
)
