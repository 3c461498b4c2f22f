"""The tensors made of transformers' outputs are what transformers' own post-processing makes of them."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor
from transformers import (
    DeformableDetrImageProcessor,
    DetrImageProcessor,
    EomtImageProcessor,
    Mask2FormerImageProcessor,
    RTDetrImageProcessor,
    VitPoseImageProcessor,
    ZoeDepthConfig,
    ZoeDepthForDepthEstimation,
)

from build_engines.sources.transformers_outputs.depth import StageByStage
from build_engines.sources.transformers_outputs.detect import best_of_each, best_pairs, corners
from build_engines.sources.transformers_outputs.keypoints import _gaussian, peaks
from build_engines.sources.transformers_outputs.segment import best_class, enlarged
from build_engines.sources.transformers_outputs.segments import Rules, assigned, objects

SIDE = 384
"""The side that Mask2Former's post-processing works at."""


def _detections(classes: int) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(3)
    boxes = torch.rand(2, 120, 4, generator=generator) * 0.2 + 0.4
    return SimpleNamespace(logits=torch.randn(2, 120, classes, generator=generator), pred_boxes=boxes)


def _segmentations(height: int) -> SimpleNamespace:
    """Five queries: sure ones of two classes on overlapping halves, an unsure one, one of no object, a second thing."""
    classes = torch.full((1, 5, 4), -4.0)
    for query, kind, sureness in ((0, 0, 4.0), (1, 1, 3.0), (2, 2, -3.8), (3, 3, 5.0), (4, 1, 3.5)):
        classes[0, query, kind] = sureness
    masks = torch.full((1, 5, height, height), -6.0)
    third = height // 3
    masks[0, 0, :third], masks[0, 1, third : 2 * third] = 6.0, 5.0
    masks[0, 2], masks[0, 3], masks[0, 4, 2 * third :] = 3.0, 7.0, 5.0
    return SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks, patch_offsets=None)


def _sorted(result: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    order = torch.argsort(result["scores"], descending=True, stable=True)
    return result["boxes"][order], result["scores"][order], result["labels"][order]


def test_a_detector_with_a_class_for_nothing() -> None:
    """DETR's boxes, scores and labels are those of its own post-processing, best first."""
    outputs = _detections(5)
    scores, labels, queries = best_of_each(outputs.logits, 120)
    boxes = corners(outputs.pred_boxes).gather(1, queries.unsqueeze(-1).expand(-1, -1, 4))
    for slot, expected in enumerate(DetrImageProcessor().post_process_object_detection(outputs, threshold=0)):
        for mine, theirs in zip((boxes[slot], scores[slot], labels[slot]), _sorted(expected), strict=True):
            torch.testing.assert_close(mine, theirs)


def test_detectors_that_rank_pairs() -> None:
    """The best pairs of query and class are those of Deformable DETR's (100 of them) and RT-DETR's post-processing."""
    outputs = _detections(7)
    for processor, slots in ((DeformableDetrImageProcessor(), 100), (RTDetrImageProcessor(), 120)):
        scores, labels, queries = best_pairs(outputs.logits, slots)
        boxes = corners(outputs.pred_boxes).gather(1, queries.unsqueeze(-1).expand(-1, -1, 4))
        for slot, expected in enumerate(processor.post_process_object_detection(outputs, threshold=0)):
            torch.testing.assert_close(scores[slot], expected["scores"])
            torch.testing.assert_close(boxes[slot], expected["boxes"])
            assert labels[slot].tolist() == expected["labels"].tolist()


def test_boxes_stay_inside_the_image() -> None:
    """A box that reaches beyond the image is cut at its edge."""
    assert corners(torch.tensor([[[0.1, 0.9, 0.6, 0.4]]])).tolist()[0][0] == [
        0.0,
        np.float32(0.7),
        np.float32(0.4),
        1.0,
    ]


def test_panoptic_segments_of_mask2former() -> None:
    """Each pixel has the class and score that Mask2Former's own post-processing gives it."""
    outputs = _segmentations(96)
    expected = Mask2FormerImageProcessor().post_process_panoptic_segmentation(outputs, threshold=0.5)[0]
    pixels = torch.zeros(1, 3, SIDE, SIDE)
    segments, labels, scores = assigned(
        outputs.class_queries_logits, enlarged(outputs.masks_queries_logits, pixels), Rules(0.5, weighed=True)
    )
    _same_segments(segments[0], labels[0], scores[0], expected, nothing=0)


def test_panoptic_segments_of_eomt() -> None:
    """Each pixel has the class and score that EoMT's own post-processing gives it; stuff is joined."""
    outputs = _segmentations(96)
    processor = EomtImageProcessor(size={"shortest_edge": SIDE, "longest_edge": SIDE})
    expected = processor.post_process_panoptic_segmentation(outputs, [(SIDE, SIDE)], stuff_classes=[1, 2])[0]
    masks = enlarged(outputs.masks_queries_logits, torch.zeros(1, 3, SIDE, SIDE))
    segments, labels, scores = assigned(outputs.class_queries_logits, masks, Rules(0.8, weighed=False, stuff_from=1))
    _same_segments(segments[0], labels[0], scores[0], expected, nothing=-1)
    assert np.count_nonzero(scores) == 2


def _same_segments(segments: Tensor, labels: Tensor, scores: Tensor, expected: dict, nothing: int) -> None:
    known = {segment["id"]: segment for segment in expected["segments_info"]}
    assert len(known) == int((scores > 0).sum())
    for number in torch.unique(expected["segmentation"]).tolist():
        mine = torch.unique(segments[expected["segmentation"] == number]).tolist()
        if number == nothing and number not in known:
            assert mine == [-1]
            continue
        assert len(mine) == 1
        assert labels[mine[0]] == known[number]["label_id"]
        np.testing.assert_allclose(scores[mine[0]], known[number]["score"], atol=1e-5)


def test_objects_with_masks_of_mask2former() -> None:
    """Scores, labels and masks are those of Mask2Former's own instance post-processing, best first."""
    outputs = _segmentations(SIDE)
    expected = Mask2FormerImageProcessor().post_process_instance_segmentation(
        outputs, threshold=0.05, return_binary_maps=True
    )[0]
    _, scores, labels, masks = objects(outputs.class_queries_logits, outputs.masks_queries_logits)
    order = np.argsort([-segment["score"] for segment in expected["segments_info"]], kind="stable")
    count = len(order)
    assert labels[0, :count].tolist() == [expected["segments_info"][index]["label_id"] for index in order]
    np.testing.assert_allclose(
        scores[0, :count], [expected["segments_info"][index]["score"] for index in order], atol=1e-5
    )
    assert torch.equal(masks[0, :count].float(), expected["segmentation"][order.tolist()].float())


def test_a_box_lies_around_its_mask() -> None:
    """An object's box is the smallest that holds its mask, and nothing where the mask is empty."""
    masks = torch.full((1, 2, 8, 10), -1.0)
    masks[0, 0, 2:4, 5:10] = 1.0
    boxes, scores, _, _ = objects(torch.tensor([[[3.0, -9.0], [2.0, -9.0]]]), masks)
    torch.testing.assert_close(boxes[0, 0], torch.tensor([0.5, 0.25, 1.0, 0.5]))
    assert boxes[0, 1].tolist() == [0.0] * 4
    assert scores[0, 1] == 0


def test_the_class_of_each_pixel() -> None:
    """Logits are enlarged before the best class is chosen, and the map's type holds all classes."""
    logits = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = torch.zeros(1, 3, 32, 32)
    expected = torch.nn.functional.interpolate(logits, size=(32, 32), mode="bilinear").argmax(dim=1)
    assert torch.equal(best_class(logits, pixels).long(), expected)
    assert best_class(torch.zeros(1, 300, 2, 2), pixels).dtype is torch.int16


def test_places_between_the_cells_of_heat_maps() -> None:
    """Peaks are where transformers' post-processing finds them, to a hundredth of a cell."""
    rows, columns = torch.arange(64.0)[:, None], torch.arange(48.0)
    centres = [(20.3, 30.6), (5.5, 50.2), (40.9, 10.1)]
    maps = torch.stack([torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in centres])[None]
    places, scores = peaks(maps, _gaussian())
    # A box of the heat map's own size: its places are cells.
    box = [0.0, 0.0, 47.0 / 1.25, 63.0 / 1.25]
    processor = VitPoseImageProcessor(size={"height": 63, "width": 47})
    result = processor.post_process_pose_estimation(SimpleNamespace(heatmaps=maps), boxes=[[box]])[0][0]
    moved = result["keypoints"].numpy() - np.array(box[2:]) / 2 + np.array([47, 63]) / 2
    np.testing.assert_allclose(places[0].numpy(), moved, atol=0.01)
    np.testing.assert_allclose(places[0].numpy(), centres, atol=0.05)
    torch.testing.assert_close(scores[0], result["scores"])


def test_zoedepths_reassembly_stage_by_stage() -> None:
    """Taken each by itself, the stages give ZoeDepth's own maps, and the batch stays free for `torch.export`."""
    backbone = {"model_type": "beit", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 4}
    config = ZoeDepthConfig(neck_hidden_sizes=[4, 6, 8, 8], fusion_hidden_size=8, backbone_config=backbone)
    theirs = ZoeDepthForDepthEstimation(config).eval().neck.reassemble_stage
    tokens = [torch.randn(3, 1 + 6 * 8, 16) for _ in range(4)]
    for mine, expected in zip(StageByStage(theirs)(tokens, 6, 8), theirs(tokens, 6, 8), strict=True):
        torch.testing.assert_close(mine, expected)
    free = [{0: torch.export.Dim("batch", min=1)}] * 4
    program = torch.export.export(StageByStage(theirs), (tokens, 6, 8), dynamic_shapes=(free, None, None))
    assert program.module()([maps[:2] for maps in tokens], 6, 8)[0].shape[0] == 2
