"""Graph functions to the texts of a C library: one C file with every program, its header, and what goes beside them.

Start with `model.py`; `cuda_model.py` makes the same library for CUDA. Nothing here writes a file or starts a compiler;
`runtime/export.py` does.
"""
