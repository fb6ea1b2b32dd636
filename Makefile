# make demo         train the digits net through generated C (the main job)
# make test         style, types and the whole test suite
# make conformance  the same scripts on TensorFlow and on tfgraph
# make bench        training steps, kernels and scaling beside other frameworks, into benchmarks/README.md (13 minutes)
# make test-gpu     the CUDA tests on this machine's GPU
# make test-pycuda  what make test-gpu tests, through PyCUDA on a machine without a GPU
# make sanitize-gpu the op cases and the five nets there, under compute-sanitizer
# make bench-gpu    training steps there beside PyTorch and JAX, where Python has them, into benchmarks/GPU.md
# make pack-gpu     build/gpu: this checkout and all packages that these three take, for a machine without network:
#                   mkdir tfgraph && tar xf gpu/tfgraph.tar -C tfgraph && make -C tfgraph test-gpu PACKED=$PWD/gpu
#
# Each creates a virtual environment of its own and installs what it needs there.

PYTHON ?= python3
WORKERS ?= 2
OUT ?= out
PEERS ?= tensorflow torch jax

GPU_PYTHON ?= 3.12
GPU_SITE ?=
SANITIZER ?= $(or $(shell command -v compute-sanitizer),$(wildcard /usr/local/cuda/bin/compute-sanitizer),compute-sanitizer)
GPU_NEEDS = numpy networkx jinja2 cffi setuptools wheel mako pytools platformdirs typing_extensions siphash24 scipy \
  pytest hypothesis matplotlib scikit-learn nvidia-cuda-nvrtc

.PHONY: demo test lint types conformance bench test-gpu test-pycuda sanitize-gpu bench-gpu pack-gpu clean

demo: .venv/demo.done
	.venv/bin/python -m tfgraph.examples.digits --output $(OUT)/digits

test: .venv-test/test.done lint types
	.venv-test/bin/python -m pytest -n $(WORKERS) --dist loadgroup tests

lint: .venv-test/test.done
	.venv-test/bin/ruff check .

# mypy reads packages from folders, so the four folders are laid out as they are installed
types: .venv-test/test.done
	rm -rf build/types && mkdir -p build/types/tfgraph
	ln -s $(CURDIR)/tfgraph/* $(CURDIR)/codegen $(CURDIR)/templates $(CURDIR)/runtime build/types/tfgraph/
	cd build/types && MYPYPATH=. $(CURDIR)/.venv-test/bin/mypy --config-file $(CURDIR)/pyproject.toml -p tfgraph

conformance: .venv-conformance/tf-keras.done .venv-conformance/keras-2.2.4
	TF_CPP_MIN_LOG_LEVEL=3 .venv-conformance/bin/python -m pytest -n $(WORKERS) --dist loadgroup -m conformance tests/conformance

# without what it depends on: the package tensorflow, which is tensorflow-cpu over again. Without it, and with --no-compile,
# the environment takes 26 s of processor time, not 65
.venv-conformance/tf-keras.done: .venv-conformance/conformance.done
	release=$$($(@D)/bin/python -c 'from importlib.metadata import version; print(version("tensorflow-cpu").rpartition(".")[0])') \
	  && $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "tf-keras==$$release.*"
	touch $@

# the Keras that TensorFlow 1.x had; beside the environment's own, which is another
.venv-conformance/keras-2.2.4: .venv-conformance/conformance.done
.venv-bench/keras-2.2.4: .venv-bench/bench.done
.venv-%/keras-2.2.4:
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --target $@ \
	  keras==2.2.4 keras_applications==1.0.8 keras_preprocessing==1.1.2 six h5py pyyaml

# a peer that cannot be installed is left out; BENCH="--only kernels" measures a part
bench: .venv-bench/bench.done .venv-bench/keras-2.2.4
	for peer in $(PEERS); do \
	  .venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$$peer]" || echo "no $$peer here"; \
	done
	.venv-bench/bin/python -m benchmarks $(BENCH)

# an empty TFGRAPH_TEST_CUDA is the GPU; without it the same tests run through the host shim
test-gpu: .venv-gpu/gpu.done
	TFGRAPH_TEST_CUDA= .venv-gpu/bin/python -m pytest tests/test_cuda_*.py

# the same without a GPU: PyCUDA on a driver of the tests' own, whose kernels the host shim runs
FAKE_CUDA = $(CURDIR)/.venv-pycuda/cuda
test-pycuda: .venv-pycuda/pycuda.done
	.venv-pycuda/bin/python tests/fake_driver/build.py $(FAKE_CUDA)
	PATH="$(FAKE_CUDA):$$PATH" LD_LIBRARY_PATH=$(FAKE_CUDA) TFGRAPH_FAKE_CUDA=1 FAKE_CUDA_DEVICES=2 TFGRAPH_TEST_CUDA= \
	  .venv-pycuda/bin/python -m pytest -n $(WORKERS) tests/test_cuda_pycuda*.py \
	  $(addprefix tests/test_cuda_,session.py memory.py profile.py ops.py nets.py examples.py)

# GPU_SITE=--system-site-packages: PyTorch and JAX are those of $(PYTHON). BENCH="--missing --minutes 9" measures what is not
# in the report yet, as far as it gets in that time; "--nets mlp,lenet" a part
bench-gpu: .venv-gpu/gpu.done
	.venv-gpu/bin/python -m benchmarks.gpu $(BENCH)

# SANITIZE="lenet/tf32 reduce" is a part
sanitize-gpu: .venv-gpu/gpu.done
	for tool in memcheck racecheck initcheck; do \
	  TFGRAPH_TEST_CUDA= $(SANITIZER) --tool $$tool --error-exitcode 1 .venv-gpu/bin/python -m tests.sanitize_cuda $(SANITIZE) \
	    || exit 1; \
	done

pack-gpu:
	mkdir -p build/gpu
	git archive --output build/gpu/tfgraph.tar HEAD
	$(PYTHON) -m pip download --quiet --no-deps --no-binary pycuda --dest build/gpu pycuda
	$(PYTHON) -m pip download --quiet --only-binary :all: --python-version $(GPU_PYTHON) --dest build/gpu $(GPU_NEEDS)

# PyCUDA is built from source: against the CUDA headers there are, without curand's, which it has no use for here
.venv-gpu/gpu.done: pyproject.toml
	$(PYTHON) -m venv $(GPU_SITE) .venv-gpu
	mkdir -p build/home && echo 'CUDA_ENABLE_CURAND = False' > build/home/.aksetup-defaults.py
	.venv-gpu/bin/python -m pip install --quiet $(if $(PACKED),--no-index --find-links $(PACKED)) $(GPU_NEEDS)
	HOME=$(CURDIR)/build/home .venv-gpu/bin/python -m pip install --quiet --no-build-isolation \
	  $(if $(PACKED),--no-index --find-links $(PACKED)) pycuda
	.venv-gpu/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# here PyCUDA is built against the headers from PyPI and linked with the tests' own driver
CUDA_HEADERS = nvidia-cuda-runtime nvidia-cuda-crt nvidia-cuda-profiler-api
.venv-pycuda/pycuda.done: pyproject.toml
	$(PYTHON) -m venv .venv-pycuda
	.venv-pycuda/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  $(filter-out nvidia-cuda-nvrtc,$(GPU_NEEDS)) pytest-xdist $(CUDA_HEADERS)
	.venv-pycuda/bin/python tests/fake_driver/build.py $(FAKE_CUDA)
	HOME=$(FAKE_CUDA) .venv-pycuda/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation pycuda
	.venv-pycuda/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# a virtual environment called .venv* with this checkout and one of its extras. --no-compile: Python compiles what it
# imports, which is not all of TensorFlow
.venv/demo.done: EXTRA = examples
.venv-test/test.done: EXTRA = test
.venv-conformance/conformance.done: EXTRA = conformance
.venv-bench/bench.done: EXTRA = bench
%.done: pyproject.toml
	$(PYTHON) -m venv $(@D) || { echo "python3 cannot make virtual environments here: apt install python3-venv"; exit 1; }
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[$(EXTRA)]'
	touch $@

clean:
	rm -rf .venv .venv-test .venv-conformance .venv-bench .venv-gpu .venv-pycuda build $(OUT)
