"""The document's words, section by section; `document` puts the figures in."""

HEAD = """# Sizing on paper

Written by `python -m benchmarks.scaling`; do not edit. A simulation, from one pod to {most_gpus:,} GPUs, with
your own numbers: change `benchmarks/scaling/inputs.yaml` and run it again. Every draw has a seed, so the same
inputs give the same page. Three kinds of numbers go in:

- **measured** by this project on {cores} cores: {whole:.1f} ms of processor time an image of `{model}`, of
  which {loop:.1f} ms is the event loop's, {worker:.1f} ms decoding and {model_ms:.1f} ms the model; batches
  save nothing there;
- **Kubernetes'** own defaults and rules;
- **assumed**: everything about GPUs, nodes and prices. *No GPU was ever run for this page.* One batch of n
  images is taken to need {fixed:g} + {each:g} n ms ({fixed_low:g}-{fixed_high:g} and {each_low:g}-{each_high:g}
  are possible): at n = 1 that is the rate published for ResNet-50 with TensorRT on an L4. [What the assumptions
  change](#what-a-million-images-cost) is shown.

A rate is *held* if p99 stays below {p99:g} ms (the objective of [the alerts](alerts.md)), at most {refused:.1%}
is refused, and {most_load:.0%} of what full batches could do is not passed.

## In short

{short}
"""

TRUST = """## How far to trust it

Against theory, mean waits (the tests hold them to 7 %):

| | formula | simulated | error |
|---|---|---|---|
{theory}

Against what this repository measured on one node ([RESULTS](../benchmarks/RESULTS.md),
[ROLLOUT](../benchmarks/ROLLOUT.md)):

| | measured | simulated | error |
|---|---|---|---|
{committed}

Throughput and medians are right to {median_error:.0%}; p99 is told **too low by up to {p99_error:.0%}**, most
where the node is nearly idle: an operating system, a garbage collector and the load generator on the same
processors are not simulated. So read p99 as the queue's part of it, and keep the margin that the defaults below
keep.

{open_loop}
"""

OPEN = """
Open loop, callers who come by chance (`python -m benchmarks.scaling.measure`: {machine}, {date}), measured →
simulated:

| a second | refused | CPU ms | answers/s | p50 ms | p95 ms | p99 ms |
|---|---|---|---|---|---|---|
{rows}
"""

POD = """## One pod

![Latency by rate](images/scaling/load.png)

A CPU pod of {cores} cores (dotted: the objective, and the rate that is held, {cpu_held:.0f} images/s):

| load | images/s | p50 / p95 / p99 ms | refused | wait ms, mean / p95 | in flight | batch | busy |
|---|---|---|---|---|---|---|---|
{cpu}

One GPU as assumed ({gpu_held:,.0f} images/s are held):

| load | images/s | p50 / p95 / p99 ms | refused | wait ms, mean / p95 | in flight | batch | busy |
|---|---|---|---|---|---|---|---|
{gpu}

**Images in flight tell load early, waits tell it late.** From 50 to 80 % load the images in flight grow
{flight:.1f} times, on the GPU {gpu_flight:.1f} times. *Busy* is useless with a GPU: it is {busy:.0%} at half
the load, for batches grow instead. Above the capacity both figures jump to the bound and say nothing of how
much is missing.

**The bound on images in flight** (`--max-images-in-flight`) decides what overload feels like. At {overload:g}
times the capacity the same number is answered with any bound; a larger one only makes all of them wait:

![Bound on images in flight](images/scaling/bound.png)

| bound | CPU pod: answers/s | p50 / p99 ms | GPU: answers/s | p50 / p99 ms |
|---|---|---|---|---|
{bounds}

With the default of {bound} a full CPU pod of {cores} cores answers {full_s:.1f} s late. Bounds that hold
{p99:g} ms: **{cpu_bound} for a CPU pod**, {gpu_bound} for each GPU (the gateways' together). `--adaptive-limit`
looks for it while it serves.

**Gateways before Triton** need {gateway_ms:.1f} ms of processor time an image, and one event loop has at most
{loop_rate:.0f} images/s in it. At {utilisation:.0%} that is {gateway_rate:.0f} images/s for {gateway_cores}
cores: **{gateways} gateways of {gateway_cores} cores for each GPU** as assumed. More than 3 cores in one
gateway gain nothing; more gateways do.
"""

GROWTH = """## When traffic grows

Ten CPU pods at 65 % of what they hold; within half a minute twice as much comes, and after 13 minutes it falls
back. A pod starts in {start:.0f} s, a node in {node:.0f} s, nodes for a tenth of the pods stand ready. The
autoscaler is Kubernetes' own algorithm (every {sync:g} s, tolerance {tolerance:g}, pods without figures count
as idle on the way up), on figures scraped every {scrape:g} s. No `maxReplicas`, to see what it wants:

![Growth of CPU pods](images/scaling/growth_cpu.png)

| | failed | for s | pods: begin → most → end | pod hours |
|---|---|---|---|---|
{cpu}

- **Nothing but room helps in the first {node:.0f} s.** All ways refuse for as long, for nodes take that long:
  room (65 %), nodes that stand ready, or neither.
- **Waits and images in flight run away.** In overload they say "thirty times the target" although twice the
  pods would do; each sync asks for more until the first new pods help. `maxReplicas` alone stops it. Cut what
  one pod may tell at twice the target (`clamp_max` in the metric's query), and the fleet at most doubles before
  the new pods are there.
- **Requests, refused ones included, are the honest measure**: twice as many ask for twice the pods. But their
  target is images/s of your model on your machines; the chart cannot know it.
- Down: one pod a minute gives {most} pods back in {down_hours:.0f} hours; Kubernetes' own pace drops
  hundreds at once, and the next rise finds none. A tenth a minute, and at least one, after {window:g} s.

Room, or quick nodes: the proposed way by the load before and by the time of a node, seconds with refusals and
share refused:

| load before | {nodes} |
|---|---|---|---|
{lags}

(At 80 % the autoscaler was at work before the rise.)

A hundred GPUs, from 65 % to 130 % of what they hold ({gpu_start:.0f} s to start a pod):

![Growth of GPUs](images/scaling/growth_gpu.png)

| | failed | for s | pods: begin → most → end | pod hours |
|---|---|---|---|---|
{gpu}
"""

ZONES = """## A zone is lost

Twelve CPU pods in {zones} zones; one zone goes, nobody sends to it after {noticed:g} s, and no node stands
ready. Where there is an autoscaler, set as proposed, it acts from then on.

![A zone is lost](images/scaling/zone.png)

| load before | after | autoscaler | toleration | failed for | failed in 13 min | p99 ms | most pods |
|---|---|---|---|---|---|---|---|
{rows}

Up to **{safe:.0%}** of what pods hold ({before} of {zones} zones) the only loss is what was sent to the zone
before that was noticed. The autoscaler counts the lost pods as idle: {after} of the requests on {before} pods
of {zones} look to it like no change. Images in flight grow faster than load, so by them it does bring more.
Without it Kubernetes replaces the pods after {grace:g} + {toleration:g} s; with a toleration of 30 s for
`node.kubernetes.io/unreachable` and `not-ready` after {short:g} s.
"""

SIZES = """## From one GPU to {most:,}

Each fleet is sized for a lost zone ({load:.0%} of what its GPUs hold); then half as many more come within half
a minute:

| GPUs | images/s with a zone to spare | gateways | price an hour | failed | for s | p99 ms | most GPUs |
|---|---|---|---|---|---|---|---|
{rows}

A fleet that has room for a lost zone takes half as many more: the room is the same. What
grows with size is the number of gateways, and the time that {nodes} new nodes at a time need. {one}
"""

CANARY = """## Canaries

**How long until there is something to judge by?** Each gateway judges by what it has seen itself:
`min_requests` ({need}) answers of the canary within `window_s` ({window:g} s). Median time until some gateway
has them:

| requests/s in all | gateways | {shares} |
|---|---|{dashes}
{decisions}

"Never" is within an hour: a canary that gets less than `min_requests` / `window_s` = {least:.2f} requests a
second *at one gateway* is never judged. With little traffic give it a larger share, or a window of 1.5 x
`min_requests` / (rate x share / gateways).

**How many are enough?** One gateway with 50 requests a second, a tenth of them the canary's; stable fails in
0.3 %, a good canary too, a bad one in 5 %; the rule allows 2 % more. Sent back within an hour:

| `min_requests` | good ones | bad ones | after |
|---|---|---|---|
{alarms}

**What does a slow one cost all others?** Both versions run in the same pods, on the same processors, at 65 % of
what these hold. The last two columns are what `max_p99_ratio: 3` does, there and in pods at 20 %:

| times slower | share | stable's p99 ms | its own | all | refused | at 65 % | at 20 % |
|---|---|---|---|---|---|---|---|
{slow}

![Canaries](images/scaling/canary.png)

{finding}
"""

COST = """## What a million images cost

Prices are **examples, not quotes**: {prices}. *Full* is every node at the rate that it holds, day and night;
*reserve* has a zone to spare; *autoscaled* follows the day at 65 %; *for the peak* is sized once for the day's
highest hour ({peak:g} times the mean). The CPU's times are measured with `{model}`; the GPU's are of a model
about {heavier:g} times as heavy, so *heavy model* is the CPU pod with {heavier:g} times the model's time, one
image at a time.

| | images/s a node | bound by | full | reserve | autoscaled | for the peak |
|---|---|---|---|---|---|---|
{costs}

![Costs](images/scaling/cost.png)

{finding}

One assumption at a time, lowest / base / highest, with CPU nodes beside the GPU that decode for it:

| | images/s one GPU holds | a million images |
|---|---|---|
{assumptions}
"""

HOW = """## How it is computed

- *One pod, batch by batch*: between two starts of batches nothing leaves the queue, so all arrivals between
  them are dealt with at once. That is exact (a test compares it with the request-by-request simulation, image
  by image) and costs one step a batch. A free place takes what waits, up to the largest batch; beyond the bound
  is 429: as `service/engines/batcher.py` does it.
- *One gateway, request by request* (simpy): permits, event loop, decoding threads, the service's own
  `FairQueue`, engine threads, all sharing the processors evenly. For the comparison with measurements, and
  canaries.
- *Fleets* (simpy): Poisson arrivals that are spread by lot stay Poisson at each pod and independent, so pods
  that started together are alike. Two of each such group are simulated and count for all of it. That is how
  {most:,} GPUs and a million images a second fit into minutes on one core.
- *Canaries* are judged by the service's own windows and rules.
- Not in it: the network, images of several sizes, uneven balancing, several models in one pod, video. A GPU's
  memory and clock. Gateways before Triton are counted, not simulated; their own few milliseconds come on top of
  the GPUs' figures.
"""
