/*
 * What the host shim's runtime (fibers.c, check.c) and a module of kernels compiled for the host (shim.h) know of each other.
 *
 * A thread of a block runs on a stack of TG_SHIM_STACK bytes that begins at a multiple of that size, and its tg_shim_thread
 * lies there first: a kernel finds its own from its stack pointer, without thread-local variables.
 */
#ifndef TG_SHIM_ABI_H
#define TG_SHIM_ABI_H

#include <stddef.h>
#include <stdint.h>

#define TG_SHIM_STACK ((uintptr_t)128 << 10)
#define TG_SHIM_WARP 32
#define TG_SHIM_SHARE 64 /* bytes that a lane can show its warp at once */

typedef struct uint3 {
    unsigned int x, y, z;
} uint3;

typedef enum tg_shim_access { TG_SHIM_READ, TG_SHIM_WRITE, TG_SHIM_ATOMIC } tg_shim_access;

/* What a kernel calls. All functions return only when the threads concerned have met. */
typedef struct tg_shim_runtime {
    void (*barrier)(int line);
    /* The 8 bytes that lane `source` of the lanes in `mask` gave as `value`. */
    uint64_t (*shuffle)(uint32_t mask, uint64_t value, unsigned source, int line);
    /* Bit i: lane i of `mask` gave true. */
    uint32_t (*ballot)(uint32_t mask, int predicate, int line);
    /* What each of the 32 lanes gave, TG_SHIM_SHARE bytes apart, until this lane next calls `share`. */
    const unsigned char *(*share)(const void *mine, size_t bytes, int line);
    /* Begins a copy to shared memory, zeros if not `inside`; ends a group of copies; waits for all groups but the last `most`. */
    void (*copy)(void *to, const void *from, size_t bytes, int inside);
    void (*end_copies)(void);
    void (*await_copies)(unsigned most);
    /* In a checking module, before each access to memory. */
    void (*access)(const void *address, size_t bytes, tg_shim_access kind);
    /* Ends the launch with an error. */
    void (*fault)(const char *text);
} tg_shim_runtime;

typedef struct tg_shim_thread {
    uint3 thread_index, block_index, block_size, grid_size;
    unsigned char *dynamic_shared;
    const tg_shim_runtime *runtime;
} tg_shim_thread;

/* What a module exports as `tg_shim_module`: where its static shared variables and all of it lie, and if it checks. */
typedef struct tg_shim_module_info {
    unsigned char *shared_begin, *shared_end;
    const unsigned char *image_begin, *image_end;
    int checks;
} tg_shim_module_info;

typedef void (*tg_shim_entry)(const unsigned char *parameters);

/* One launch. */
typedef struct tg_shim_launch_info {
    tg_shim_entry entry;
    const tg_shim_module_info *module;
    const char *name;
    const unsigned char *parameters;
    uint3 grid, block;
    uint64_t shared_bytes; /* dynamic */
    uint64_t order;        /* of threads and blocks: 0 first to last, 1 last to first, else the seed of a permutation */
} tg_shim_launch_info;

#endif
