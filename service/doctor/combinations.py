"""Settings that contradict each other, or that have no effect."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.repository import readable_cards
from service.settings import Settings
from service.url_policy import AllowedUrl

_OF_TRITON = ("triton_url", "triton_instances", "triton_shared_memory", "triton_unload_on_exit")
_OF_EMBEDDED = ("device", "memory_limit", "memory_min_idle_s")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The settings, which of them somebody set, and what they meet."""

    settings: Settings
    largest_batch: int
    """The largest that a version is certified for; 1 where there is none."""
    kubernetes: bool

    def flags_set(self, *names: str) -> list[str]:
        """Those of these settings that somebody set."""
        return [_flag(name) for name in names if name in self.settings.model_fields_set]


def read(settings: Settings) -> Chosen:
    """Look at the cards for the batches that they allow."""
    largest = max((card.max_batch_size for card in readable_cards(settings.repository)), default=1)
    return Chosen(settings, largest, "KUBERNETES_SERVICE_HOST" in os.environ)


def sizes(facts: Chosen) -> Iterator[Finding]:
    """Limits that exclude each other."""
    told = list(_sizes(facts))
    yield from told or [ok("requests, batches and queues fit each other")]


def _sizes(facts: Chosen) -> Iterator[Finding]:
    chosen = facts.settings
    batch = min(chosen.max_batch_size or facts.largest_batch, facts.largest_batch)
    if chosen.max_images_per_request > chosen.max_images_in_flight:
        yield problem(
            f"--max-images-per-request {chosen.max_images_per_request} is more than --max-images-in-flight "
            f"{chosen.max_images_in_flight}: the largest requests can never be admitted",
            "raise the second to several times the first, or lower the first",
        )
    if chosen.max_images_per_request > chosen.max_queue:
        yield warning(
            f"--max-images-per-request {chosen.max_images_per_request} is more than --max-queue {chosen.max_queue}: "
            "the largest requests are refused even when nothing waits",
            "raise --max-queue, or lower --max-images-per-request",
        )
    if chosen.max_queue < batch:
        yield warning(
            f"--max-queue {chosen.max_queue} is less than a batch of {batch}, so none is ever full",
            f"set --max-queue to at least {4 * batch}",
        )
    if chosen.max_batch_size is not None and chosen.max_batch_size > facts.largest_batch:
        yield warning(
            f"--max-batch-size {chosen.max_batch_size} has no effect beyond the certified {facts.largest_batch}",
            "leave it out, or build versions for larger batches",
        )
    if chosen.video_disk_bytes is not None and chosen.video_disk_bytes < chosen.video_max_bytes:
        yield warning(
            "--video-disk-bytes is less than --video-max-bytes: the largest videos never have room",
            "raise the first, or lower the second",
        )


def times(facts: Chosen) -> Iterator[Finding]:
    """Times that exclude each other."""
    told = list(_times(facts))
    yield from told or [ok("deadlines, drain and body times fit each other")]


def _times(facts: Chosen) -> Iterator[Finding]:
    chosen = facts.settings
    if chosen.drain_timeout_s < chosen.default_timeout_s:
        yield warning(
            f"--drain-timeout-s {chosen.drain_timeout_s:g} is less than --default-timeout-s "
            f"{chosen.default_timeout_s:g}: requests that would still be answered are cut off at the end",
            f"set --drain-timeout-s to at least {chosen.default_timeout_s:g}",
        )
    if chosen.body_stall_s > chosen.body_timeout_s:
        yield warning(
            f"--body-stall-s {chosen.body_stall_s:g} has no effect beyond --body-timeout-s {chosen.body_timeout_s:g}",
            "lower the first, or raise the second",
        )
    if facts.kubernetes and chosen.drain_delay_s == 0:
        yield warning(
            "--drain-delay-s is 0: a pod that ends still gets requests for a moment, and refuses them",
            "set --drain-delay-s 5, and terminationGracePeriodSeconds beyond it and --drain-timeout-s together",
        )


def effects(facts: Chosen) -> Iterator[Finding]:
    """Settings without effect."""
    told = list(_effects(facts))
    yield from told or [ok("every setting that was set has an effect")]


def _effects(facts: Chosen) -> Iterator[Finding]:
    chosen = facts.settings
    if chosen.engine == "embedded" and (flags := facts.flags_set(*_OF_TRITON)):
        yield warning(
            f"{', '.join(flags)} have no effect with --engine embedded", "leave them out, or set --engine triton"
        )
    if chosen.engine == "triton" and chosen.fallback == "none" and (flags := facts.flags_set(*_OF_EMBEDDED)):
        yield warning(f"{', '.join(flags)} have no effect with --engine triton", "leave them out")
    if chosen.otlp_endpoint is None and facts.flags_set("trace_share"):
        yield warning(
            "--trace-share has no effect without --otlp-endpoint", "name where traces are sent, or leave it out"
        )
    if chosen.keep_disagreeing_images and chosen.max_copies == 0:
        yield warning(
            "--keep-disagreeing-images has no effect with --max-copies 0: nothing is compared", "raise --max-copies"
        )
    for one, all_of_them in (
        ("max_streams_per_caller", "max_streams"),
        ("max_frame_streams_per_caller", "max_frame_streams"),
    ):
        if facts.flags_set(one) and getattr(chosen, one) > getattr(chosen, all_of_them):
            yield warning(f"{_flag(one)} has no effect beyond {_flag(all_of_them)}", f"raise {_flag(all_of_them)}")


def addresses(facts: Chosen) -> Iterator[Finding]:
    """What callers may have this service fetch."""
    reach = _reach(_rules(facts.settings.allowed_urls))
    if reach:
        yield warning(
            f"--allowed-urls lets callers have this service call {reach}",
            "name the hosts of your cameras, videos and webhooks",
        )
    else:
        yield ok(facts.settings.allowed_urls or "this service calls no address that a caller names")


def _reach(rules: list[AllowedUrl]) -> str:
    """What the widest of them leads to; nothing where hosts are named."""
    if any(rule.network is not None and rule.network.prefixlen == 0 for rule in rules):
        return "any address by its number, private ones too"
    # What `*` means is told by the policy: no name that strangers choose leads within.
    return "any public address" if any(rule.host == "*" for rule in rules) else ""


def _rules(text: str) -> list[AllowedUrl]:
    return [AllowedUrl.parse(rule.strip()) for rule in text.split(",") if rule.strip()]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


GROUP = group("Settings", read, {"sizes": sizes, "times": times, "effects": effects, "allowed addresses": addresses})
