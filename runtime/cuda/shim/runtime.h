/* What the two halves of the host shim's runtime share: the launch that runs. */
#ifndef TG_SHIM_RUNTIME_H
#define TG_SHIM_RUNTIME_H

#include "abi.h"

#define TG_SHIM_THREADS 1024 /* at most in a block */
#define TG_SHIM_MOST_SHARED (227u << 10)

typedef struct tg_shim_state {
    const tg_shim_launch_info *launch;
    uint32_t launches;   /* the number of this launch */
    uint32_t epoch;      /* another one in each block and after each barrier */
    uint32_t warp_epoch; /* how often lanes of any warp have met */
    uint32_t lane_epochs[TG_SHIM_THREADS]; /* at which of these meetings each thread was last */
    uint64_t block;
    const unsigned char *stacks_begin, *stacks_end, *dynamic_begin;
} tg_shim_state;

extern tg_shim_state tg_shim_now;

/* Ends the launch with this error. */
__attribute__((noreturn, format(printf, 1, 2))) void tg_shim_fault(const char *format, ...);

unsigned tg_shim_running_thread(void);

/* The numbers of a block's threads in the order in which they begin. */
void tg_shim_order_threads(unsigned *threads, unsigned count, uint64_t order);

/* The number of the block that is the `i`th to run of `count`; `step` is tg_shim_block_step's for that count and order. */
uint64_t tg_shim_block_at(uint64_t i, uint64_t count, uint64_t order, uint64_t step);
uint64_t tg_shim_block_step(uint64_t count, uint64_t order);

/* Copies of the running thread to shared memory; see copies.c. `inside`: else zeros. */
void tg_shim_copy(void *to, const void *from, size_t bytes, int inside);
void tg_shim_end_copies(void);
void tg_shim_await_copies(unsigned most);

/* A block begins with none on the way; a thread must not end before its own are there. */
void tg_shim_begin_copies(unsigned threads);
void tg_shim_check_copies(void);

/* Called before each access of a checking module: ends the launch if the access is wrong. */
void tg_shim_check_access(const void *address, size_t bytes, tg_shim_access kind);

#endif
