# make demo   set everything up and run the main job: LWM's VQGAN to ONNX, proven against JAX, with a report
# make test   set everything up and run lint, types and tests
# make bench  set everything up and measure against the peers

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO ?= demo
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# pip compiles the 330 MB of sources on one processor; this does it on all. What is not Python 3 is left as it is.
INSTALL = $(BIN)/pip install -q --no-compile
COMPILE = $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true

.PHONY: demo test lint bench browser clean

demo: $(VENV)/.run $(DEMO)/vqgan-seeded.pkl
	$(BIN)/lwmport convert --component vqgan --to onnx --checkpoint $(DEMO)/vqgan-seeded.pkl --out $(DEMO)/onnx
	@echo "Open $(DEMO)/onnx/report.html in a browser."

$(DEMO)/vqgan-seeded.pkl: | $(VENV)/.run
	$(BIN)/lwmport checkpoint make --component vqgan --out $@

test: $(VENV)/.dev browser lint
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/vqgan.py
	$(BIN)/python benchmarks/llama.py

# Tests of the report run in a real browser; they are skipped, with the reason, where there is none.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	apt-get update -qq && apt-get install -y -qq chromium chromium-driver >/dev/null; } || \
	echo "no chromium here: tests in the browser will be skipped"

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -c constraints.txt -e .
	$(COMPILE)
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -c constraints.txt -e '.[dev,tf,tflite,torch,hf,openvino]'
	$(COMPILE)
	touch $@

$(VENV)/.bench: $(VENV)/bin/python pyproject.toml constraints.txt
	$(INSTALL) -c constraints.txt -e '.[bench]'
	$(COMPILE)
	touch $@

clean:
	rm -rf $(VENV) $(DEMO)
