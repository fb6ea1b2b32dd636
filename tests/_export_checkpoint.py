"""The C that saves and loads checkpoints, compiled alone for a small model made by hand, and programs that drive it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from tests._c_compiler import compile_c
from tfgraph.checkpoint.model import RANDOM_PREFIX, write_model_checkpoint
from tfgraph.codegen.export.checkpoint import Tensor, checkpoint_source, random_tensor
from tfgraph.dtypes import as_dtype

STATUSES = ("OK", "CANNOT_OPEN", "CANNOT_READ", "CANNOT_WRITE", "DAMAGED_FILE", "FOREIGN_FILE")

VARIABLES: dict[str, np.ndarray] = {
    "conv1/kernel": np.arange(12, dtype=np.float32).reshape(3, 2, 2) / 7,
    "conv1/bias": np.float32([1, -2, np.nan, 4, 5]),
    "flag": np.array([True, False, True]),
    "global_step": np.int64(7),
    "half": np.float16([0.5, 2, 3]),
}
RANDOMS = {"drop/RandomUniform": (87654321, 3, 2**64 - 256), "init/RandomStandardNormal": (1, 2, 0)}


def places() -> dict[str, tuple[int, np.ndarray]]:
    """Where the tensors of the model are in an instance, and what is there; in between are bytes that nobody may touch."""
    rows = {name: np.array(words, np.uint64) for name, words in RANDOMS.items()}
    found, at = {}, 16
    for name, value in {**VARIABLES, **{RANDOM_PREFIX + name: row for name, row in rows.items()}}.items():
        found[name] = (at, np.asarray(value))
        at += -(-found[name][1].nbytes // 8) * 8 + 8
    return found


PLACES = places()
INSTANCE_BYTES = 512


def instance(values: dict[str, np.ndarray] | None = None, before: bytes = b"\xa5" * INSTANCE_BYTES) -> bytes:
    """The bytes of an instance that holds the model, or `values`, and otherwise what was there before."""
    content = bytearray(before)
    for name, (at, value) in PLACES.items():
        held = value if values is None else values.get(name)
        if held is not None:
            content[at : at + value.nbytes] = held.tobytes()
    return bytes(content)


def tensors() -> list[Tensor]:
    randoms = [random_tensor(name, str(PLACES[RANDOM_PREFIX + name][0])) for name in RANDOMS]
    return randoms + [Tensor(n, as_dtype(PLACES[n][1].dtype), PLACES[n][1].shape, str(PLACES[n][0])) for n in VARIABLES]


def saved_by_python(path: Path) -> bytes:
    write_model_checkpoint(str(path), {name: np.asarray(value) for name, value in VARIABLES.items()}, RANDOMS)
    return path.read_bytes()


START = f"""
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
enum {{ {", ".join(f"TG_{status}" for status in STATUSES)} }};
enum {{ BYTES = {INSTANCE_BYTES} }};
"""

MAIN = """
/* what the tests make of the disk: -1 all is well, 0 the call fails, 1 the process ends before it */
static int sync_does = -1, rename_does = -1, close_fails, reads_left = -1;

static bool gone_wrong(int what)
{
    if (what == 1)
        _exit(1);
    return what == 0;
}
int __real_fsync(int), __real_rename(const char *, const char *), __real_fclose(FILE *);
size_t __real_fread(void *, size_t, size_t, FILE *);
int __wrap_fsync(int file) { return gone_wrong(sync_does) ? -1 : __real_fsync(file); }
int __wrap_rename(const char *a, const char *b) { return gone_wrong(rename_does) ? -1 : __real_rename(a, b); }
int __wrap_fclose(FILE *file) { const int done = __real_fclose(file); return close_fails ? EOF : done; }
size_t __wrap_fread(void *to, size_t size, size_t count, FILE *file)
{
    if (reads_left == 0)
        return 0;
    reads_left -= reads_left > 0;
    return __real_fread(to, size, count, file);
}

static void whole_file(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fread(to, 1, size, file) != size)
        abort();
    fclose(file);
}

static void put_file(const char *path, const char *from, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(from, 1, size, file) != size)
        abort();
    fclose(file);
}

static int save(char **a)
{
    static char instance[BYTES];
    whole_file(a[0], instance, BYTES);
    return tg_save(instance, a[1]);
}

static int load(char **a)
{
    static char instance[BYTES];
    bool whole;
    whole_file(a[0], instance, BYTES);
    const int status = tg_load(instance, a[1], a[2][0] == 'w', &whole);
    put_file(a[0], instance, BYTES);
    return whole ? status : 100 + status;
}

/* Loads each file of a list in turn; the answer is a list of the status and the instance after it. */
static int load_each(char **a)
{
    static char before[BYTES];
    FILE *files = fopen(a[1], "rb"), *answers = fopen(a[2], "wb");
    uint64_t size;
    whole_file(a[0], before, BYTES);
    while (fread(&size, sizeof size, 1, files) == 1) {
        char *content = (char *)malloc(size + 1), *instance = (char *)malloc(BYTES);
        if (fread(content, 1, size, files) != size)
            abort();
        put_file(a[3], content, size);
        memcpy(instance, before, BYTES);
        bool whole;
        const char status = (char)tg_load(instance, a[3], a[4][0] == 'w', &whole);
        fwrite(&status, 1, 1, answers);
        fwrite(instance, 1, BYTES, answers);
        free(content);
        free(instance);
    }
    fclose(files);
    fclose(answers);
    return 0;
}

/* Whether the file at this path holds the first or the second of two states, or what was wrong with it. */
static int which_is_there(const char *path, const char *states)
{
    char instance[BYTES];
    bool whole;
    memcpy(instance, states, BYTES);
    const int status = tg_load(instance, path, false, &whole);
    if (status != TG_OK)
        return -status;
    return memcmp(instance, states, BYTES) == 0 ? 1 : memcmp(instance, states + BYTES, BYTES) == 0 ? 2 : 0;
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = size;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* A disk with room for ever more bytes: prints what a save said and which state was there after it. */
static int full_disk(char **a)
{
    static char states[2 * BYTES];
    whole_file(a[0], states, 2 * BYTES);
    if (tg_save(states, a[1]) != TG_OK)
        return 1;
    signal(SIGXFSZ, SIG_IGN);
    for (int size = 0, status = 1; status != TG_OK; size++) {
        limit_files((rlim_t)size);
        status = tg_save(states + BYTES, a[1]);
        limit_files(RLIM_INFINITY);
        fprintf(stderr, "%d %d\\n", status, which_is_there(a[1], states));
    }
    return 0;
}

/* A process that ends with the last byte that its file may have. */
static int cut_off(char **a)
{
    static char states[2 * BYTES];
    whole_file(a[0], states, 2 * BYTES);
    for (int size = 0, ended = 1; ended != 0; size++) {
        if (tg_save(states, a[1]) != TG_OK)
            return 1;
        const pid_t child = fork();
        if (child == 0) {
            const struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            limit_files((rlim_t)size);
            _exit(tg_save(states + BYTES, a[1]));
        }
        waitpid(child, &ended, 0);
        fprintf(stderr, "%d %d\\n", ended != 0, which_is_there(a[1], states));
    }
    return 0;
}

/* A process that saves two states in turn and is killed at some moment. */
static int killed(char **a)
{
    static char states[2 * BYTES];
    whole_file(a[0], states, 2 * BYTES);
    if (tg_save(states, a[1]) != TG_OK)
        return 1;
    for (int i = 0; i < 200; i++) {
        const pid_t child = fork();
        for (int turn = 0; child == 0; turn = !turn)
            if (tg_save(states + turn * BYTES, a[1]) != TG_OK)
                _exit(1);
        usleep((useconds_t)(rand() % 5000));
        kill(child, SIGKILL);
        int ended;
        waitpid(child, &ended, 0);
        fprintf(stderr, "%d %d\\n", WIFSIGNALED(ended), which_is_there(a[1], states));
    }
    return 0;
}

/* Calls of the system that fail, or that a process does not live to make. */
static int at_the_end(char **a)
{
    static char states[2 * BYTES];
    whole_file(a[0], states, 2 * BYTES);
    if (tg_save(states, a[1]) != TG_OK)
        return 1;
    int *const does[] = {&sync_does, &rename_does};
    for (int i = 0; i < 5; i++) {
        const pid_t child = fork();
        if (child == 0) {
            if (i < 4)
                *does[i / 2] = i % 2;
            close_fails = i == 4;
            _exit(10 + tg_save(states + BYTES, a[1]));
        }
        int ended;
        waitpid(child, &ended, 0);
        fprintf(stderr, "%d %d\\n", WEXITSTATUS(ended), which_is_there(a[1], states));
    }
    return 0;
}

/* A disk that gives nothing more after ever more reads: what a load says, whether the state counts as whole, if it is. */
static int failing_reads(char **a)
{
    static char states[2 * BYTES], instance[BYTES];
    whole_file(a[0], states, 2 * BYTES);
    if (tg_save(states, a[1]) != TG_OK)
        return 1;
    for (int reads = 0, status = 1; status != TG_OK; reads++) {
        bool whole;
        memcpy(instance, states + BYTES, BYTES);
        reads_left = reads;
        status = tg_load(instance, a[1], false, &whole);
        reads_left = -1;
        fprintf(stderr, "%d %d %d\\n", status, whole, memcmp(instance, states + (status == TG_OK ? 0 : BYTES), BYTES) == 0);
    }
    return 0;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(char **);
    } commands[] = {{"save", save}, {"load", load}, {"load_each", load_each}, {"full_disk", full_disk}, {"cut_off", cut_off},
                    {"killed", killed}, {"at_the_end", at_the_end}, {"failing_reads", failing_reads}};
    for (size_t i = 0; count > 1 && i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, arguments[1]) == 0)
            return commands[i].run(arguments + 2);
    return 255;
}
"""
WRAPPED = ("fsync", "rename", "fclose", "fread")


def build(folder: Path, *options: str, rows: list[Tensor] | None = None) -> Path:
    """The program; its commands are the functions of `main`."""
    (folder / "driver.c").write_text(START + checkpoint_source(tensors() if rows is None else rows, "TG") + MAIN)
    wrapped = [f"-Wl,--wrap={name}" for name in WRAPPED]
    assert not compile_c(*options, *wrapped, "-o", "driver", "driver.c", folder=folder)
    return folder / "driver"


def call(driver: Path, *arguments: str | Path) -> tuple[int, list[list[int]]]:
    """Run a command: what it returned, and the numbers that it printed, a list for each line."""
    done = subprocess.run([driver, *arguments], capture_output=True, text=True, timeout=600)
    assert "ERROR" not in done.stderr, done.stderr[:4000]
    assert "runtime error" not in done.stderr, done.stderr[:4000]
    return done.returncode, [[int(word) for word in line.split()] for line in done.stderr.splitlines()]

