# What a fresh machine needs: Python 3.11 with venv, and make. Everything else is installed into .venv.
PYTHON ?= python3.11
CORES ?= 2
# Another configuration for `make study`, such as configs/tiny.yaml; by default config.yaml.
CONFIG ?= config.yaml
BIN := .venv/bin

.PHONY: setup study test lint docs wheel dependencies bench lock clean

setup: .venv/complete

# Python keeps what it compiles, whatever the caller's environment says: fifty jobs import the same libraries.
export PYTHONDONTWRITEBYTECODE :=

# Everything but torch is pinned by hash. torch is pinned by version, since its CPU and CUDA builds have different
# hashes, and installed by pip, which takes a local build where pip is told of one. uv does the rest in a tenth of pip's
# time, and adds what a CUDA build of torch needs.
TORCH := torch==2.13.0
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
.venv/complete: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/python -m pip install --quiet --no-compile --no-deps $(TORCH) & \
	    $(UV) --require-hashes --no-deps -r requirements.lock && wait $$!
	$(UV) $(TORCH)
	$(UV) --no-deps --no-build-isolation -e .
	touch $@

# Two jobs of one thread each use two cores better than one job of two threads at the built-in study's sizes.
study: setup
	$(BIN)/snakemake --configfile $(CONFIG) --cores $(CORES) --set-threads train_model=1 train_detector=1 draw_samples=1

test: setup
	$(BIN)/python -m pytest -n $(CORES) --dist loadscope --no-loadscope-reorder --durations 20

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# The pages of docs/ and of the library's functions, in site/; a link that leads nowhere is an error.
docs: setup
	$(BIN)/mkdocs build --strict --quiet

# The wheel and the source distribution, in dist/, and the wheel tried in environments of its own.
wheel: setup
	rm -rf dist
	$(BIN)/hatchling build
	$(BIN)/python tests/try_wheel.py dist $(TORCH)

# Licences, and faults that are known of packages; the list of faults needs a network.
dependencies: setup
	mkdir -p dist
	$(BIN)/python tests/try_dependencies.py dist/licences.tsv

# Ratios against what a user would otherwise run, written to benchmarks/results.tsv.
bench: setup
	$(BIN)/python benchmarks/nearest_neighbours.py
	$(BIN)/python benchmarks/search_at_scale.py 100000 1000000

# Two passes: what torch's CUDA build brings along is found in the first and left out of the second.
LOCK := $(BIN)/uv pip compile pyproject.toml --extra dev --generate-hashes --no-header --quiet --python-version 3.11 \
    --constraint .venv/torch.constraint
lock: setup
	echo $(TORCH) > .venv/torch.constraint
	$(LOCK) --output-file .venv/everything.lock
	$(LOCK) --output-file requirements.lock \
	    $$(sed -nE 's/^((nvidia|cuda)-[a-z0-9-]+|triton|torch)==.*/--no-emit-package \1/p' .venv/everything.lock)

clean:
	rm -rf .snakemake results work
