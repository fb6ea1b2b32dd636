"""The C interface of a compiled step, and the module that cffi makes of it.

`_step_abi.py` is generated from `DECLARATIONS` (cffi's out-of-line ABI mode), so that loading a step needs no C parser:
after a change here run `python -m tfgraph.runtime.abi`. A test compares the two.
"""

from __future__ import annotations

from pathlib import Path

DECLARATIONS = """
typedef struct tg_step {
    int64_t N;                       /* the batch size of this run */
    char *batch;                     /* arena of the buffers whose size grows with N */
    char *fixed;                     /* arena of the other buffers */
    const void *const *feeds;
    void *const *fetches;
    void *const *variables;
    const void *const *constants;
    const uint64_t *random;          /* per random operation: seed, seed2, counter */
    void *pool;
    int64_t failed;                  /* 0, or 1 + the number of the check that failed */
} tg_step;

int64_t tg_run(tg_step *s, int64_t first, int64_t last);
void *tg_new_pool(int64_t threads);
"""

GENERATED = Path(__file__).with_name("_step_abi.py")


def generate(target: Path) -> None:
    """Write the module for `DECLARATIONS` to `target`."""
    import cffi

    builder = cffi.FFI()
    builder.cdef(DECLARATIONS)
    builder.set_source("tfgraph.runtime._step_abi", None)
    builder.emit_python_code(str(target))


if __name__ == "__main__":
    generate(GENERATED)
