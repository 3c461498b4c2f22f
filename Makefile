# Everything that a person or CI does, by name. `make help` lists it.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup models serve test policies lint format catalogue bench bench-masks bench-rollout bench-video bench-observing reliability soak scaling soak-video parity image-test proto client-types dashboards fuzz-api fuzz-image hostile audit pins screenshots clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

# pip is asked again only when what is wanted has changed.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Vitrail needs Python 3.11 or newer; set PYTHON=")'
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.serve: .venv/.made pyproject.toml constraints.txt
	@echo "Installing the service and the builder (PyTorch is among it; this takes a minute or more)"
	$(PIP) --progress-bar on --editable '.[cpu,build]'
	@touch $@

.venv/.dev: .venv/.serve
	@echo "Installing what the tests need"
	$(PIP) --editable '.[dev]'
	$(PIP) --editable clients/python
	@# The real Triton for the tests; its metadata refuses the NumPy that it runs with, and there are wheels for Linux only.
	$(PIP) --no-deps 'nvidia-pytriton==0.7.0' || echo "no Triton here: the tests that need one are skipped"
	@touch $@

setup: .venv/.dev ## Make .venv with all that development needs

models: .venv/.serve ## Build the default models that are absent
	$(BIN)/vitrail-build build --default

serve: models ## Serve the default models on 127.0.0.1:8000 (PORT=… for another)
	$(BIN)/vitrail-serve --port $(PORT)

lint: .venv/.dev ## Check format, style, types and the import rule
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev ## Put the code into form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint models ## Lint, check types, and run all tests
	$(BIN)/pytest -n 2 --dist loadfile --durations=10

# An environment of its own: checkov wants older libraries than the service.
.venv/checkov/.made: .venv/.made
	$(PYTHON) -m venv .venv/checkov
	.venv/checkov/bin/pip install --disable-pip-version-check checkov==3.3.30
	@touch $@

policies: .venv/.dev .venv/checkov/.made ## Check the Helm chart against checkov's policies
	$(BIN)/pytest tests/helm/test_policy.py

catalogue: .venv/.dev ## Build and certify the whole catalogue with random weights (hours); writes docs/catalogue.md
	$(BIN)/vitrail-build build --all --weights random --engine tensorrt-rtx --discard --no-cache --jobs 2 \
		--results build_engines/catalog/outcomes.jsonl || true
	$(BIN)/vitrail-build catalogue build_engines/catalog/outcomes.jsonl

bench: .venv/.dev models ## Measure against the in-process ceiling; writes benchmarks/RESULTS.md (needs wrk)
	$(BIN)/python -m benchmarks.serving

parity: .venv/.dev ## Run the REST suite once more, with a real Triton running the models (minutes)
	$(BIN)/pytest -m parity tests/service/engines/triton/test_parity.py

bench-rollout: .venv/.dev models ## Versions that come, go and are rolled back under load; writes benchmarks/ROLLOUT.md
	$(BIN)/python -m benchmarks.rollout

bench-observing: .venv/.dev models ## What metrics, history, traces and logs cost; writes benchmarks/OBSERVING.md (minutes; needs wrk)
	$(BIN)/python -m benchmarks.observing

reliability: .venv/.dev models ## Overload and chaos, with a real Triton; writes docs/reliability.md (root; a quiet machine; 10 minutes)
	$(BIN)/python -m benchmarks.reliability

soak: .venv/.dev models ## Half an hour at four fifths of the capacity; writes docs/reliability.md
	$(BIN)/python -m benchmarks.reliability soak --minutes 30

scaling: .venv/.dev ## Simulate fleets from benchmarks/scaling/inputs.yaml; writes docs/scaling.md (two minutes)
	$(BIN)/python -m benchmarks.scaling

bench-masks: .venv/.dev ## What each form of mask costs; writes benchmarks/MASKS.md (needs a quiet machine)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.masks

bench-video: .venv/.dev ## Video jobs beside the in-process ceiling; writes benchmarks/VIDEO.md (minutes, a quiet machine)
	$(BIN)/python -m benchmarks.video

soak-video: .venv/.dev ## A long video, and streams begun and ended 200 times; writes benchmarks/SOAK.md (minutes)
	$(BIN)/python -m benchmarks.video_soak

fuzz-image: .venv/.dev ## Decode a million damaged images; writes benchmarks/reliability/fuzzing.json (minutes)
	$(BIN)/python -m benchmarks.hostile_fuzzing

hostile: .venv/.dev ## Send hostile images and bodies to a real service; writes benchmarks/reliability/hostile.json (minutes)
	$(BIN)/python -m benchmarks.hostile

fuzz-api: .venv/.dev ## Send the API some ten thousand random requests made from its document (minutes)
	VITRAIL_FUZZ_EXAMPLES=300 $(BIN)/pytest --durations=2 tests/service/api/rest/test_schemathesis.py

image-test: .venv/.dev ## Build the gateway's image and run it (root, Debian's buildah and debootstrap; minutes)
	VITRAIL_IMAGE_TEST=1 nice -n 10 $(BIN)/pytest -rs tests/deployment/test_image.py

audit: .venv/.dev ## Licences, bills of materials (build/audit), known weaknesses of what is shipped; docs/supply_chain.md
	$(BIN)/python -m deploy.audit

pins: .venv/.dev ## Write the hashes of the gateway's packages, requirements/gateway-cpu.txt, from constraints.txt
	$(BIN)/python -m deploy.audit pins

proto: .venv/.dev ## Write the Python of contract/proto/vitrail/v1/vision.proto
	$(BIN)/python contract/proto/generate.py

client-types: .venv/.dev ## Write what the Python client takes from the service: its types, methods and messages
	$(BIN)/python clients/python/generate.py

dashboards: .venv/.dev ## Write Grafana's dashboards, helm/dashboards, from deploy/dashboards
	$(BIN)/python -m deploy.dashboards

screenshots: .venv/.dev ## Take the README's pictures from a service that runs on PORT (needs Chromium)
	$(BIN)/python docs/screenshots.py --url http://127.0.0.1:$(PORT) --out docs/images

clean: ## Remove what was installed and built; models stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
