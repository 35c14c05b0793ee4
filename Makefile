# Everything from a bare Debian or Ubuntu machine: `make demo`. Environment, ROS, messages: see tools/setup.sh.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo docs test fuzz chaos setup setup-dev setup-train clean

# Only given on the command line or in the environment; tools/setup.sh has the default.
export PYTHON

# The environment is a ROS prefix of its own. A sourced distribution, or the variables that another such environment's
# Python leaves to its children, would mix two sets of libraries.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
# Many containers set it, and then every process compiles PyTorch's thousand modules again: seconds each, in hundreds.
unexport PYTHONDONTWRITEBYTECODE
export AMENT_PREFIX_PATH := $(CURDIR)/.venv

help:
	@echo 'make demo         hear it work; ARGS=--mic for your microphone'
	@echo 'make test         ruff, mypy and pytest; PYTEST_ARGS="-k decoder" for some'
	@echo 'make docs         these pages and the modules, as HTML in build/docs'
	@echo 'make setup        only the environment, in .venv'
	@echo 'make setup-train  the same with what training needs'
	@echo 'make chaos        half an hour of things breaking; MINUTES=30 SEED=1'
	@echo 'make fuzz         ever new cases for what must always hold; MINUTES=60 SEED=1'
	@echo 'make clean        remove the environment and everything built'
	@echo 'PYTHON=python3.12 chooses the interpreter (3.10 to 3.13)'

demo: setup
	@.venv/bin/audio-interaction demo $(ARGS)

# A file on each of two cores: no test is right about time only where it has the machine to itself.
test: setup-dev
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

docs:
	@tools/setup.sh docs
	.venv/bin/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs build/docs

chaos: setup-dev
	@.venv/bin/python -m tests.system.chaos --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1)

fuzz: setup-dev
	@OMP_NUM_THREADS=1 .venv/bin/python -m tests.fuzz --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

setup:
	@tools/setup.sh

setup-dev:
	@tools/setup.sh dev

setup-train:
	@tools/setup.sh train

clean:
	rm -rf .venv build install log dist *.egg-info audio_interaction_ros/msg audio_interaction_ros/srv audio_interaction_ros/*.so
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
