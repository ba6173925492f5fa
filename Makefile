# Every command a newcomer, an operator or a contributor needs: `make help`.
# A machine needs Python 3.11+ and make; everything else is installed into .venv and node_modules.

PYTHON ?= python3
STAGE ?= dev
# More of the configuration: CONTEXT="-c throttling_rate_rps=5 -c auth=iam"
CONTEXT ?=
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export OMP_NUM_THREADS ?= 1
# Processes by the dozen start from the same sources, which are compiled once.
unexport PYTHONDONTWRITEBYTECODE
CDK = cdk --context stage=$(STAGE) $(CONTEXT)

# A line that says how far it is, instead of what a package manager writes: that is in the log.
INSTALL_LOG = .venv/install.log
# Python compiles what it imports, which is a part of what is installed: pip would compile all of it, for a minute.
PIP = -m pip --disable-pip-version-check install --no-compile
LOCKED = $(PIP) --require-hashes --constraint requirements.lock --progress-bar raw
installing = @python -m local.install "$(1)" $(INSTALL_LOG)

.DEFAULT_GOAL := help
.PHONY: help local local-status local-logs local-destroy test test-slow screenshots images check types rules synth diff bootstrap preflight deploy promote pause resume doctor destroy verify-clean api-key key lock sbom train-demo learn-report bench-train bench bench-load bench-gpu soak

help: ## List these commands
	@awk -F ':.*## ' '/^#: / { printf "\n%s\n", substr($$0, 4) } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

#: Try it on this machine

local: .venv/.product node_modules/.installed ## Stand it up and classify an image (MODEL=openai/clip-vit-base-patch32: photographs)
	@python -m local up $(if $(MODEL),--model '$(MODEL)') $(CONTEXT)

local-status: .venv/.product ## What of the local system is running
	@python -m local status

local-logs: .venv/.product ## Show the local system's logs (ALL=1: also when each call of a function began and ended)
	@python -m local logs $(if $(ALL),--all)

local-destroy: .venv/.product node_modules/.installed ## Tear the local system down: cdk destroy, nothing left
	@python -m local destroy

#: Deploy it to AWS

bootstrap: .venv/.product node_modules/.installed ## Prepare an AWS account and region for CDK, once
	$(CDK) bootstrap

preflight: .venv/.product node_modules/.installed ## What would stop a deployment, and what it costs (STAGE=dev)
	@python -m operate.preflight $(STAGE) $(CONTEXT)

diff: .venv/.product node_modules/.installed ## What a deploy would change on your AWS account (STAGE=dev)
	$(CDK) diff

deploy: .venv/.product node_modules/.installed ## Check, deploy to your AWS account, verify (STAGE=dev, YES=1 asks nothing)
	@python -m operate.deploy $(STAGE) $(CONTEXT) $(if $(YES),--yes)

api-key: .venv/.product ## Print the deployed stage's own API key, which may manage (STAGE=dev)
	@python -m operate.keys $(STAGE) $(CONTEXT) own

key: .venv/.product ## List callers' keys (STAGE=dev); DO=create NAME=phone KIND=ask (QUOTA_PER_DAY=10000 RATE_RPS=5), DO=rotate or DO=revoke NAME=phone
	@python -m operate.keys $(STAGE) $(CONTEXT) $(or $(DO),list) $(NAME) $(if $(KIND),--kind $(KIND)) $(if $(QUOTA_PER_DAY),--quota-per-day $(QUOTA_PER_DAY)) $(if $(RATE_RPS),--rate-rps $(RATE_RPS))

promote: .venv/.product ## Promote a version of the model, by the API (VERSION=base STAGE=dev, FORCE=1)
	@python -m operate.promote $(STAGE) $(CONTEXT) $(or $(VERSION),$(error say which: make promote VERSION=base)) $(if $(FORCE),--force)

pause: .venv/.product ## Delete the endpoint, which costs, and keep everything else (STAGE=dev)
	@python -m operate.pause $(STAGE) $(CONTEXT) pause

resume: .venv/.product ## Bring the endpoint back with the version that was live (STAGE=dev)
	@python -m operate.pause $(STAGE) $(CONTEXT) resume

doctor: .venv/.product ## Why a deployment failed or behaves strangely (STAGE=dev)
	@python -m operate.doctor $(STAGE) $(CONTEXT)

destroy: .venv/.product node_modules/.installed ## Remove it from your AWS account, and list what stays (STAGE=dev, YES=1 asks nothing)
	@python -m operate.destroy $(STAGE) $(CONTEXT) $(if $(YES),--yes)

verify-clean: .venv/.product ## List what a destroy has left, and what it costs (STAGE=dev)
	@python -m operate.verify_clean $(STAGE) $(CONTEXT)

#: Develop it

test: .venv/.tests node_modules/.tests ## Run the tests that guard every change
	python -m pytest -m "not slow" -n 3 --no-loadscope-reorder

test-slow: .venv/.tests node_modules/.tests ## Run the tests that take longer
	python -m pytest -m slow -n 3 --no-loadscope-reorder

screenshots: .venv/.tests ## Take the pictures in docs/page/ of the local system that is up
	python -m tests.page_screenshots

images: .venv/.tests ## Build both container images and run them, by Docker, or else by podman: root on Debian
	python -m pytest -s -v tests/images/checks.py

check: types rules ## Lint, formatting and types, and the rules of templates for every stage and tier (-j2: at once)

types: .venv/.tests
	ruff check .
	ruff format --check .
	mypy

rules: .venv/.tests node_modules/.installed
	$(MAKE) --no-print-directory synth STAGE=dev CONTEXT="-c serving=lambda"
	for file in stacks/stages/*.toml; do $(MAKE) --no-print-directory synth STAGE=$$(basename $$file .toml) || exit 1; done

synth: .venv/.product node_modules/.installed ## Synthesize the CloudFormation templates into cdk.out
	$(CDK) synth --quiet

lock: .tools ## Resolve requirements*.txt into the lock files again (UPGRADE=1: to the newest that they allow)
	$(COMPILE) $(CONTAINER_REQUIREMENTS) --output-file model/requirements.lock
	$(COMPILE) --constraint model/requirements.lock requirements.txt tests/requirements.txt operate/requirements.txt --output-file requirements.lock
	$(COMPILE) --no-deps tests/generator.txt --output-file tests/generator.lock
	for file in model/requirements.lock requirements.lock; do \
	    awk 'NR == FNR { if (NF == 2) { line = "    --hash=sha256:" $$1 " \\"; known[line]; cpu = cpu line "\n" } next } \
	        !($$0 in known) { print } /^torch==/ { printf "%s", cpu }' \
	        model/torch-cpu.sha256 $$file > $$file.new && mv $$file.new $$file || exit 1; \
	done

sbom: .tools .venv/.tests node_modules/.tests ## List what is installed as CycloneDX in sbom/, and its licences in docs/licences.md
	mkdir -p sbom
	.tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom/python.cdx.json .venv
	.tools/bin/cyclonedx-py environment --output-reproducible --output-file sbom/tools.cdx.json .tools
	npm sbom --sbom-format cyclonedx > sbom/npm.cdx.json
	python -m operate.licences sbom/*.cdx.json > docs/licences.md

train-demo: .venv/.product ## Train the shipped checkpoint again: an hour, resumes if stopped
	SAGEMAKER_BASE_DIR=.train-demo/objects python -m model.training data=world init=scratch steps=5000 captions_per_image=3 threads=1 precision=fp32
	SAGEMAKER_BASE_DIR=.train-demo/pairs SM_CHANNEL_BASE=.train-demo/objects/model python -m model.training data=world init=base pair_share=0.05 learning_rate=2e-4 steps=1200 captions_per_image=3 threads=1 precision=fp32 evaluation_scenes=3000
	python -m model.evaluation --checkpoint .train-demo/pairs/model
	@echo "The checkpoint is in .train-demo/pairs/model. To ship it: cp .train-demo/pairs/model/* model/shipped/; to train anew: rm -r .train-demo"

#: Measure it

learn-report: .venv/.product .bench/site ## What fine-tuning and a few annotated images teach: 4 hours, resumes if stopped (DATA=folder: your photographs)
	python -m benchmarks.learning.report
	python -m benchmarks.learning.seeds $(DATA)
	python -m benchmarks.learning.loops $(DATA)
	python -m benchmarks.learning.reference
	python -m benchmarks.learning.teach $(DATA)

bench-train: .venv/.product .bench/site ## Measure training beside two common training loops: 15 minutes
	python -m benchmarks.training.throughput

bench: .venv/.product .bench/site .bench/infinity ## Measure how serving starts, and beside two common servers: 17 minutes (QUICK=1: 3 minutes)
	python -m benchmarks.serving.cold_start $(if $(QUICK),--quick)
	python -m benchmarks.serving.throughput $(if $(QUICK),--quick)

bench-load: .venv/.product .bench/site ## Measure serving near its capacity and beyond: 3 minutes (QUICK=1: 1 minute)
	python -m benchmarks.serving.overload $(if $(QUICK),--quick)

bench-gpu: .venv/.product ## Measure serving on a CUDA GPU: 5 minutes
	python -m benchmarks.serving.gpu

soak: .venv/.tests node_modules/.tests ## Hostile traffic while parts are killed: 30 minutes (MINUTES=3: a short one)
	python -m tests.hostile.soak $(if $(MINUTES),--minutes $(MINUTES))

# Apart from .venv and without dependencies: these would bring torchvision, which replaces torch.
.bench/site: benchmarks/training/others.txt .venv/.product
	$(call installing,the other training loop) python $(PIP) --no-deps --upgrade --target $@ -r benchmarks/training/others.txt
	@touch $@

# torch comes first: what needs it takes what is there.
.bench/infinity: benchmarks/serving/infinity.txt .venv/.product
	python -m venv --clear $@
	$(call installing,torch for infinity) $@/bin/python $(PIP) $$(grep ^torch $<)
	$(call installing,infinity) $@/bin/python $(PIP) -r $<
	@touch $@

CONTAINER_REQUIREMENTS = $(wildcard model/requirements.txt model/*/requirements*.txt)
COMPILE = .tools/bin/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header $(if $(UPGRADE),--upgrade)

# Stamps: what was installed, and from which lists. A changed list installs again.
REQUIREMENTS = requirements.lock requirements.txt model/pip.txt $(CONTAINER_REQUIREMENTS)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Wordsight needs Python 3.11 or newer, found " + sys.version.split()[0] + ": make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

# On Linux, PyPI's torch brings 3 GB of CUDA: where there is no NVIDIA GPU, its build for CPUs does the same in .2 GB.
CPU_ONLY = $(and $(filter Linux,$(shell uname)),$(if $(wildcard /dev/nvidiactl),,yes))
TORCH_FOR_CPU = --no-deps --retries 1 --extra-index-url https://download.pytorch.org/whl/cpu $$(sed -n 's/^\(torch==[^ ]*\).*/\1+cpu/p' model/requirements.txt)

.venv/.product: $(REQUIREMENTS) | .venv/bin/python
	@echo "Installing into .venv and node_modules, once: $(if $(CPU_ONLY),about 500 MB,about 3.5 GB (3 GB of it CUDA for the GPU; without that: make $(firstword $(MAKECMDGOALS)) CPU_ONLY=yes))"
	$(call installing,pip) python $(PIP) --require-hashes -r model/pip.txt
	$(if $(CPU_ONLY),-$(call installing,torch for CPUs) python $(LOCKED) $(TORCH_FOR_CPU))
	$(call installing,the Python packages) python $(LOCKED) -r requirements.txt
	@touch $@

.venv/.tests: tests/requirements.txt tests/generator.lock .venv/.product
	$(call installing,what tests need) python $(LOCKED) -r requirements.txt -r tests/requirements.txt
	$(call installing,a generator of clients) python $(PIP) --require-hashes --no-deps -r tests/generator.lock
	@touch $@

.tools: operate/requirements.txt requirements.lock | .venv/bin/python
	python -m venv --clear $@
	$(call installing,pip) $@/bin/python $(PIP) --require-hashes -r model/pip.txt
	$(call installing,the tools of locking) $@/bin/python $(LOCKED) -r operate/requirements.txt

node_modules/.installed: package-lock.json .venv/.product
	$(call installing,the npm packages) npm ci --omit=dev --no-audit --no-fund
	@touch $@

# All of it, with the clients that tests ask the API by. npm ci begins anew, so the other stamp goes with it.
node_modules/.tests: package-lock.json .venv/.product
	$(call installing,the npm packages of tests) npm ci --no-audit --no-fund
	@touch node_modules/.installed $@
