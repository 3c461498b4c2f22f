"""Classifiers of clips (TimeSformer, ViViT, VideoMAE …): logits."""

from typing import Any

from torch import nn

from build_engines.sources.transformers_outputs.classify import Classifier
from contract.preprocess import PreprocessSpec


def make(model: Any, _spec: PreprocessSpec, _answer: str) -> tuple[nn.Module, tuple[str, ...]]:
    """Clips f32 [B,T,3,H,W] → logits f32 [B,C]."""
    return Classifier(model), ("probabilities",)
