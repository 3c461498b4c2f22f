"""Heat maps of classifiers: the closed forms against torch's gradients, and the formulas of the papers."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from timm.layers import LayerScale
from torch import Tensor, nn
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification

from build_engines import export, random_weights
from build_engines.artifact import Artifact, BuildFailure
from build_engines.cache import key
from build_engines.explain.gradients import rule_of
from build_engines.explain.step import Explanation, attach, explanation_of
from build_engines.explain.trail import Pooling, find
from build_engines.sources.transformers_outputs.classify import Classifier as TransformersClassifier
from build_engines.verify import verify
from contract.tasks.classify import ExplanationMethod
from tests.build_engines.explainable import SMALL_VIT, Headed, Squared, pixels_of, spec_of, vit
from tests.build_engines.orders import CLASSES, SIDE, an_artifact, an_order

CAM, GRAD_CAM, LEGRAD = ExplanationMethod.CAM, ExplanationMethod.GRAD_CAM, ExplanationMethod.LEGRAD
LAYERS: dict[str, nn.Module] = {
    "linear": nn.Linear(8, 5),
    "linear without bias": nn.Linear(8, 5, bias=False),
    "pointwise": nn.Conv2d(8, 5, 1),
    "layer norm": nn.LayerNorm(8),
    "plain layer norm": nn.LayerNorm(8, elementwise_affine=False),
    "batch norm": nn.BatchNorm1d(8),
    "plain batch norm": nn.BatchNorm1d(8, affine=False),
    "batch norm and function": timm.layers.BatchNormAct2d(8, act_layer=nn.SiLU),
    "layer scale": LayerScale(8, 0.3),
    "relu": nn.ReLU(inplace=True),
    "relu 6": nn.ReLU6(),
    "gelu": nn.GELU(),
    "gelu by tanh": nn.GELU(approximate="tanh"),
    "quick gelu": timm.layers.activations.QuickGELU(),
    "silu": nn.SiLU(),
    "hard swish": nn.Hardswish(),
    "tanh": nn.Tanh(),
    "dropout": nn.Dropout(),
}


def run(network: nn.Module, pixels: Tensor) -> list[Tensor]:
    """Logits, classes and maps."""
    with torch.inference_mode():
        return list(network(pixels))


def by_autograd(found: Explanation, pixels: Tensor) -> Tensor:
    """The maps by torch's gradients."""
    return run(found.by_autograd, pixels)[2]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layers_gradient_is_autograds(name: str) -> None:
    """For every kind of layer the rule gives what torch's own differentiation gives."""
    layer = LAYERS[name].eval()
    random_weights.fill(layer)
    vector = torch.randn(4, 8, generator=torch.Generator().manual_seed(3)) * 3
    entering = vector.clone().requires_grad_()
    shaped = entering[:, :, None, None] if isinstance(layer, nn.Conv2d | nn.BatchNorm2d) else entering
    leaving = layer(shaped.clone()).flatten(1)
    gradient = torch.randn(4, 3, leaving.shape[1], generator=torch.Generator().manual_seed(4))
    rule = rule_of(layer)
    assert rule is not None
    found = rule(vector.unsqueeze(1), gradient)
    for slot in range(3):
        (expected,) = torch.autograd.grad(leaving, entering, gradient[:, slot], retain_graph=True)
        torch.testing.assert_close(found[:, slot], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", [nn.Softmax(-1), nn.Conv2d(4, 4, 3), nn.Flatten(0), nn.Sigmoid(), nn.Module()])
def test_of_other_layers_no_rule_is_known(layer: nn.Module) -> None:
    """A function that mixes places, or one that is not in the table, is not taken for another."""
    assert rule_of(layer) is None


def test_cam_is_the_papers_formula() -> None:
    """The map of a class is the sum of the last features, each times the class's weight (Zhou et al., equation 2)."""
    network, pixels = Headed().eval(), pixels_of(SIDE)
    found = explanation_of(network, spec_of(SIDE))
    logits, explained, heat = run(found.network, pixels)
    with torch.inference_mode():
        features = network.act(network.norm(network.stem(pixels)))
        weights = network.head.weight[explained.long()]
        expected = (weights[..., None, None] * features.unsqueeze(1)).sum(dim=2)
    torch.testing.assert_close(heat, expected, rtol=1e-5, atol=1e-6)
    assert (found.method, explained.dtype, tuple(heat.shape)) == (CAM, torch.int32, (3, 5, 4, 4))
    torch.testing.assert_close(logits, network(pixels).detach())
    assert torch.equal(explained.long(), logits.topk(5).indices)


def test_a_maps_mean_is_the_logit() -> None:
    """Where one linear layer follows, the maps divide the logits among the places, but for the bias."""
    network, pixels = Headed().eval(), pixels_of(SIDE)
    logits, explained, heat = run(explanation_of(network, spec_of(SIDE)).network, pixels)
    shares = logits.gather(1, explained.long()) - network.head.bias.detach()[explained.long()]
    torch.testing.assert_close(heat.mean(dim=(2, 3)), shares, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "between",
    [
        [nn.Flatten(), nn.LayerNorm(8)],
        [nn.Conv2d(8, 8, 1), nn.Hardswish(inplace=True), nn.Flatten(), nn.Dropout(0.5)],
        [nn.Conv2d(8, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)],
    ],
)
def test_layers_behind_the_pooling_are_followed(between: list[nn.Module]) -> None:
    """Where more than one layer follows, the class's gradient takes the place of the weights."""
    network = Headed(*between).eval()
    found = explanation_of(network, spec_of(SIDE))
    heat = run(found.network, pixels_of(SIDE))[2]
    assert found.method is GRAD_CAM
    torch.testing.assert_close(heat, by_autograd(found, pixels_of(SIDE)), rtol=1e-4, atol=1e-6)


def test_two_classes_have_two_maps() -> None:
    """A network of fewer than five classes explains all of them."""
    heat = run(explanation_of(Headed(classes=2).eval(), spec_of(SIDE)).network, pixels_of(SIDE))[2]
    assert heat.shape[1] == 2


def legrad(network: nn.Module, pixels: Tensor, explained: Tensor) -> Tensor:
    """LeGrad of timm's ViT by its definition: gradients of each layer's own attention map, made by hand."""
    maps = []
    with torch.enable_grad():
        tokens = network.norm_pre(network._pos_embed(network.patch_embed(pixels)))
        for block in network.blocks:
            attention = block.attn
            qkv = attention.qkv(block.norm1(tokens)).unflatten(-1, (3, attention.num_heads, -1))
            query, key_, values = qkv.permute(2, 0, 3, 1, 4)
            weights = functional.softmax(query @ key_.transpose(-1, -2) * attention.scale, dim=-1)
            weights = weights.detach().requires_grad_()
            tokens = tokens + block.ls1(attention.proj((weights @ values).transpose(1, 2).flatten(2)))
            tokens = tokens + block.ls2(block.mlp(block.norm2(tokens)))
            logits = network.forward_head(network.norm(tokens))
            scores = [logits.gather(1, index[:, None]).sum() for index in explained.long().unbind(1)]
            gradients = [torch.autograd.grad(score, weights, retain_graph=True)[0] for score in scores]
            maps.append(torch.stack(gradients, dim=1).relu().mean(dim=2)[:, :, 0])
    return torch.stack(maps).mean(dim=0)[..., network.num_prefix_tokens :].detach()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"init_values": 0.1},
        {"reg_tokens": 2},
        {"pre_norm": True},
        {"act_layer": "quick_gelu"},
        {"fc_norm": True},
    ],
)
def test_legrad_is_its_definition(changes: dict[str, object]) -> None:
    """Without a backward pass the maps are those of torch's gradients with respect to every layer's attention map."""
    network, pixels = vit(**changes), pixels_of(32)
    found = explanation_of(network, spec_of(32))
    _, explained, heat = run(found.network, pixels)
    expected = legrad(network, pixels, explained).unflatten(2, (4, 4))
    torch.testing.assert_close(heat, expected, rtol=1e-4, atol=1e-5 * float(expected.amax()))
    assert (found.method, bool((heat >= 0).all())) == (LEGRAD, True)
    torch.testing.assert_close(heat, by_autograd(found, pixels), rtol=1e-4, atol=1e-5 * float(heat.amax()))


def test_transformers_vit_is_explained() -> None:
    """Its layers have other names, and its values a layer of their own."""
    torch.manual_seed(0)
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48}
    configuration = ViTConfig(**shape, image_size=32, patch_size=8, num_labels=CLASSES)
    network = TransformersClassifier(ViTForImageClassification(configuration)).eval()
    random_weights.fill(network)
    found = explanation_of(network, spec_of(32))
    heat = run(found.network, pixels_of(32))[2]
    assert (found.method, tuple(heat.shape)) == (LEGRAD, (3, 5, 4, 4))
    torch.testing.assert_close(heat, by_autograd(found, pixels_of(32)), rtol=1e-4, atol=1e-5 * float(heat.amax()))


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (Squared(), "one linear layer"),
        (nn.Sequential(nn.Conv2d(3, 4, 16), nn.Flatten(), nn.LazyLinear(CLASSES)), "one linear layer"),
        (vit(global_pool="map"), "one linear layer"),
        (vit(global_pool="avg"), "averages its tokens"),
        (vit(global_pool="avg", class_token=False), "averages its tokens"),
        (vit(block_fn=timm.models.vision_transformer.ParallelThingsBlock), "plain vision transformer"),
    ],
)
def test_other_structures_are_refused(network: nn.Module, says: str) -> None:
    """What cannot be explained is refused, with the reason and the kinds that can."""
    side = 32 if isinstance(network, timm.models.VisionTransformer) else SIDE
    network.eval()(pixels_of(side))
    with pytest.raises(BuildFailure, match=says) as failure:
        explanation_of(network, spec_of(side))
    assert "ViT or DeiT" in failure.value.remedy


def test_blocks_that_only_look_alike_are_refused() -> None:
    """Blocks with the names of a ViT's parts that put them together otherwise are found out by their gradients."""
    network = vit(block_fn=timm.models.vision_transformer.ResPostBlock, init_values=None)
    with pytest.raises(BuildFailure, match="more than their names say"):
        explanation_of(network, spec_of(32))


def test_an_unknown_normalisation_at_the_end_is_refused() -> None:
    """Where the last layer's tokens go through what no rule is known of, no layer can be classified like the last."""
    network = vit()
    network.norm = nn.RMSNorm(24)
    with pytest.raises(BuildFailure, match="more than a layer normalisation"):
        explanation_of(network, spec_of(32))


def test_the_trail_tells_what_is_pooled() -> None:
    """Maps with channels first or last, tokens, and a class token are told from each other."""
    swin = timm.models.SwinTransformer(
        img_size=64, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 2), num_classes=CLASSES
    ).eval()
    kinds = {}
    for name, network, side in (("map", Headed().eval(), SIDE), ("last", swin, 64), ("token", vit(), 32)):
        random_weights.fill(network)
        trail = find(network, pixels_of(side))
        assert trail is not None
        kinds[name] = (trail.pooling, trail.grid, trail.prefix)
    assert kinds == {
        "map": (Pooling.MAP, (4, 4), 0),
        "last": (Pooling.MAP_CHANNELS_LAST, (8, 8), 0),
        "token": (Pooling.FIRST_TOKEN, (4, 4), 1),
    }


def coloured_patches(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures f32 [B,3,32,32] of grey noise with one coloured patch of 8 pixels, its colour, and its number."""
    random = torch.Generator().manual_seed(seed)
    pictures = (0.8 * torch.rand(count, 1, 32, 32, generator=random)).repeat(1, 3, 1, 1)
    colours = torch.randint(0, 3, (count,), generator=random)
    places = torch.randint(0, 16, (count,), generator=random)
    for picture, colour, place in zip(pictures, colours.tolist(), places.tolist(), strict=True):
        row, column = place // 4 * 8, place % 4 * 8
        picture[:, row : row + 8, column : column + 8] *= 0.3
        picture[colour, row : row + 8, column : column + 8] = 0.9
    return (pictures - 0.4) / 0.25, colours, places


def test_legrad_points_at_what_a_trained_network_goes_by() -> None:
    """A small transformer that has learnt to tell a patch's colour: the hottest of 16 patches is mostly that."""
    torch.manual_seed(0)
    network = timm.models.VisionTransformer(img_size=32, **{**SMALL_VIT, "depth": 4, "num_classes": 3})
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(200):
        pictures, colours, _ = coloured_patches(32, step)
        loss = functional.cross_entropy(network(pictures), colours)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval().requires_grad_(requires_grad=False)
    pictures, colours, places = coloured_patches(200, 1000)
    logits, _, heat = run(explanation_of(network, spec_of(32)).network, pictures)
    right = logits.argmax(dim=1) == colours
    hottest = heat[:, 0].flatten(1).argmax(dim=1)
    assert right.float().mean() > 0.9
    assert (hottest == places)[right].float().mean() > 0.5


@pytest.mark.parametrize("exporter", ["torch.export", "tracer"])
@pytest.mark.parametrize("kind", ["cam", "legrad"])
def test_both_exporters_express_it(tmp_path: Path, kind: str, exporter: export.Exporter) -> None:
    """The engine gives the maps of automatic differentiation at every batch size."""
    network, side = (Headed(), SIDE) if kind == "cam" else (vit(SIDE, depth=2, patch_size=4), SIDE)
    artifact = attach(an_artifact(tmp_path, network, order=an_order(tmp_path, explain=True), preprocess=spec_of(side)))
    verified = verify(export.export(artifact, exporter))
    assert verified.batch_sizes == (1, 2, 3, 4)
    assert {name: values.dtype for name, values in verified.golden.items()} == {
        "probabilities": np.float32,
        "explained": np.int32,
        "heat": np.float32,
    }


def test_probabilities_are_those_of_the_plain_model(tmp_path: Path) -> None:
    """The first output is bit for bit what it is without heat maps."""
    plain = an_artifact(tmp_path, Headed())
    models = [export.export(item, "tracer").model for item in (plain, attach(plain))]
    images = plain.samples[:3]
    first, second = (
        onnxruntime.InferenceSession(model.SerializeToString()).run(["probabilities"], {"images": images})[0]
        for model in models
        if model
    )
    assert np.array_equal(first, second)


def test_a_folded_network_is_certified_against_the_one_as_it_came(tmp_path: Path) -> None:
    """Where branches were folded, the reference explains the unfolded network."""
    came = Headed().eval()
    folded = Headed().eval()
    artifact = attach(an_artifact(tmp_path, folded, reference=came))
    assert artifact.reference is not None
    assert came in set(artifact.reference.modules())
    assert folded in set(artifact.network.modules())


def test_the_cards_material_names_the_method(tmp_path: Path) -> None:
    """A note for people, a setting for the service; and the option is part of what a cached build is found by."""
    artifact: Artifact = attach(an_artifact(tmp_path, Headed()))
    assert artifact.task_settings == {"explanation": "cam"}
    assert "Zhou et al., 2016" in artifact.notes[-1]
    plain, asked = (Artifact(an_order(tmp_path, explain=explain)) for explain in (False, True))
    assert key(plain) != key(asked)
