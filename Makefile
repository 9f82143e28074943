# `make demo` and `make test`, each in a virtual environment of its own, made anew where its inputs are newer.
PYTHON ?= python3
INSTALL = bin/pip install --quiet --quiet --constraint constraints.txt

.PHONY: demo test
.DELETE_ON_ERROR:

demo: .venv-demo/ready
	.venv-demo/bin/python examples/digits/demo.py demo-out

# One thread a process: two tests run at a time, and sums then come out the same on every machine.
test: export OMP_NUM_THREADS = 1
test: .venv-test/ready
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/pytest --numprocesses 2

# An earlier install may have left build/, and setuptools would pack what it finds there.
.venv-demo/ready: pyproject.toml constraints.txt $(shell find nasopt -name '*.py' -o -path '*/templates/*' -o -path '*/checkpoints/*' -o -path '*/zoo/*')
	$(PYTHON) -m venv --clear .venv-demo
	rm -rf build
	.venv-demo/$(INSTALL) . scikit-learn
	touch $@

.venv-test/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv-test
	.venv-test/$(INSTALL) --editable '.[dev]'
	touch $@
