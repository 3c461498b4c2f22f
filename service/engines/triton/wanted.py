"""What Triton shall hold of one model, and the configuration that says so."""

import asyncio
import json
from dataclasses import dataclass, field

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]

from contract.card import ModelCard
from contract.triton import TritonServing, to_config, unbroken_batch_size
from service.engines.triton.errors import TritonRefused
from service.engines.triton.shared_memory import ImageSlots

_GENERATION = "vitrail_generation"


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """An engine's claim that a version be loaded, and how."""

    card: ModelCard
    max_queue: int
    max_batch_size: int | None
    slots: ImageSlots | None = None

    @property
    def largest(self) -> int:
        """The largest batch that may be formed of it."""
        certified = unbroken_batch_size(self.card)
        return min(certified, self.max_batch_size or certified)


@dataclass(slots=True)
class WantedModel:
    """The versions of a model that shall be loaded: Triton has one configuration for all of them."""

    name: str
    instances: int
    on_gpu: bool | None
    queue_in_triton: bool = False
    """Whether Triton bounds its queue as well; see `TritonServing.max_queue` for what that costs."""
    leases: list[Lease] = field(default_factory=list)
    """Oldest first. A version whose files have changed is claimed once more before the older claim is given up."""
    revision: int = 0
    """Raised where Triton must look at a version's files anew, although its configuration stays."""
    offered: int = 1
    """The largest batch that may be sent: Triton is told before it grows, and after it has shrunk."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the versions change."""

    @property
    def versions(self) -> dict[int, Lease]:
        """What is wanted, by version: the youngest claim on each."""
        return {lease.card.version: lease for lease in self.leases}

    def add(self, lease: Lease) -> None:
        """Claim a version, perhaps once more."""
        self.revision += lease.card.version in self.versions
        self.leases.append(lease)
        self.offered = self.largest

    def require_fit(self, card: ModelCard) -> None:
        """TritonRefused for a version that cannot share a configuration with the others."""
        for number, other in self.versions.items():
            ours, theirs = card, other.card
            if number == card.version:
                continue
            if (ours.platform, ours.input, ours.outputs) != (theirs.platform, theirs.input, theirs.outputs):
                raise TritonRefused(
                    f"Triton has one configuration for all versions of a model, and version {theirs.version}, which "
                    "is loaded, has another platform or other tensors"
                )

    @property
    def largest(self) -> int:
        """The largest batch that every version may be given."""
        return min(lease.largest for lease in self.versions.values())

    def config(self, generation: int) -> str:
        """The whole configuration, as JSON for a load; another generation makes Triton load everything anew."""
        versions = self.versions
        newest = versions[max(versions)]
        serving = TritonServing(
            versions=tuple(sorted(versions)),
            max_batch_size=self.largest,
            max_queue=newest.max_queue if self.queue_in_triton else None,
            instances=self.instances,
            on_gpu=self.on_gpu,
        )
        message = text_format.Parse(to_config(newest.card, serving), model_config_pb2.ModelConfig())
        if generation:
            message.parameters[_GENERATION].string_value = str(generation)
        return json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True), sort_keys=True)
