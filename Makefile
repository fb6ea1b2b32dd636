# make demo         train the digits net through generated C (the main job)
# make test         style, types and the whole test suite
# make conformance  the same scripts on TensorFlow and on tfgraph
# make bench        training steps, kernels and scaling beside other frameworks, into benchmarks/README.md (25 minutes)
# make test-gpu     the CUDA tests on this machine's GPU;  make bench-gpu   training steps there
# make pack-gpu     build/gpu: this checkout and all packages that these two take, for a machine without network:
#                   mkdir tfgraph && tar xf gpu/tfgraph.tar -C tfgraph && make -C tfgraph test-gpu PACKED=$PWD/gpu
#
# Each creates a virtual environment of its own and installs what it needs there.

PYTHON ?= python3
WORKERS ?= 2
OUT ?= out
PEERS ?= tensorflow torch jax

GPU_PYTHON ?= 3.12
GPU_NEEDS = numpy networkx jinja2 cffi setuptools wheel mako pytools platformdirs typing_extensions siphash24 scipy \
  pytest hypothesis matplotlib scikit-learn nvidia-cuda-nvrtc

.PHONY: demo test lint types conformance bench test-gpu bench-gpu pack-gpu clean

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

conformance: .venv-conformance/conformance.done .venv-conformance/keras-2.2.4
	TF_CPP_MIN_LOG_LEVEL=3 .venv-conformance/bin/python -m pytest -m conformance tests/conformance

# the Keras that TensorFlow 1.x had; beside the environment's own, which is another
.venv-conformance/keras-2.2.4: .venv-conformance/conformance.done
.venv-bench/keras-2.2.4: .venv-bench/bench.done
.venv-%/keras-2.2.4:
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@ \
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

bench-gpu: .venv-gpu/gpu.done
	.venv-gpu/bin/python -m benchmarks.gpu --batches 1,32,128,512 $(BENCH)

pack-gpu:
	mkdir -p build/gpu
	git archive --output build/gpu/tfgraph.tar HEAD
	$(PYTHON) -m pip download --quiet --no-deps --no-binary pycuda --dest build/gpu pycuda
	$(PYTHON) -m pip download --quiet --only-binary :all: --python-version $(GPU_PYTHON) --dest build/gpu $(GPU_NEEDS)

# PyCUDA is built from source: against the CUDA headers there are, without curand's, which it has no use for here
.venv-gpu/gpu.done: pyproject.toml
	$(PYTHON) -m venv .venv-gpu
	mkdir -p build/home && echo 'CUDA_ENABLE_CURAND = False' > build/home/.aksetup-defaults.py
	.venv-gpu/bin/python -m pip install --quiet $(if $(PACKED),--no-index --find-links $(PACKED)) $(GPU_NEEDS)
	HOME=$(CURDIR)/build/home .venv-gpu/bin/python -m pip install --quiet --no-build-isolation \
	  $(if $(PACKED),--no-index --find-links $(PACKED)) pycuda
	.venv-gpu/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# a virtual environment called .venv* with this checkout and one of its extras
.venv/demo.done: EXTRA = examples
.venv-test/test.done: EXTRA = test
.venv-conformance/conformance.done: EXTRA = conformance
.venv-bench/bench.done: EXTRA = bench
%.done: pyproject.toml
	$(PYTHON) -m venv $(@D) || { echo "python3 cannot make virtual environments here: apt install python3-venv"; exit 1; }
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRA)]'
	touch $@

clean:
	rm -rf .venv .venv-test .venv-conformance .venv-bench .venv-gpu build $(OUT)
