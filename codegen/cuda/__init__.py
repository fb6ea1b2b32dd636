"""The CUDA target: the same graph, passes and groups as C, written as CUDA kernels. `compile` is read first."""
