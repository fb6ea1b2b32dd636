/*
 * Copies to shared memory that go on while their threads work (cp.async): until a thread waits for a copy, its place holds
 * nothing of use, so that a result tells when a wait is missing. Each thread's copies arrive in order, group by group.
 */
#include "runtime.h"

#include <string.h>

#define MOST_PENDING 512 /* of a thread, whose kernels keep some dozens on the way */

typedef struct copy {
    unsigned char *to;
    const unsigned char *from; /* NULL: zeros */
    uint32_t bytes, group;
} copy;

typedef struct queue {
    copy pending[MOST_PENDING]; /* a ring */
    uint32_t first, count;
    uint32_t group; /* that the next copy belongs to */
} queue;

static queue queues[TG_SHIM_THREADS];

static int is_shared(const unsigned char *address, size_t bytes)
{
    const tg_shim_module_info *module = tg_shim_now.launch->module;
    const unsigned char *dynamic_end = tg_shim_now.dynamic_begin + tg_shim_now.launch->shared_bytes;
    return (module->shared_begin != NULL && address >= module->shared_begin && address + bytes <= module->shared_end) ||
           (address >= tg_shim_now.dynamic_begin && address + bytes <= dynamic_end);
}

static void access(const void *address, size_t bytes, tg_shim_access kind)
{
    if (tg_shim_now.launch->module->checks)
        tg_shim_check_access(address, bytes, kind);
}

void tg_shim_begin_copies(unsigned threads)
{
    for (unsigned i = 0; i < threads; ++i)
        queues[i].first = queues[i].count = queues[i].group = 0;
}

void tg_shim_end_copies(void)
{
    ++queues[tg_shim_running_thread()].group;
}

void tg_shim_copy(void *to, const void *from, size_t bytes, int inside)
{
    queue *q = &queues[tg_shim_running_thread()];
    if (!is_shared(to, bytes))
        tg_shim_fault("%zu bytes are copied to %p, which is not in shared memory", bytes, to);
    if ((uintptr_t)to % bytes != 0 || (inside && (uintptr_t)from % bytes != 0))
        tg_shim_fault("%zu bytes are copied from %p to %p: both must be multiples of the size", bytes, from, to);
    if (q->count == MOST_PENDING)
        tg_shim_fault("has more than %d copies on the way", MOST_PENDING);
    if (inside)
        access(from, bytes, TG_SHIM_READ);
    access(to, bytes, TG_SHIM_WRITE);
    memset(to, 255, bytes);
    q->pending[(q->first + q->count++) % MOST_PENDING] = (copy){to, inside ? from : NULL, (uint32_t)bytes, q->group};
}

void tg_shim_await_copies(unsigned most)
{
    queue *q = &queues[tg_shim_running_thread()];
    while (q->count > 0 && q->pending[q->first].group + most < q->group) {
        const copy *c = &q->pending[q->first];
        access(c->to, c->bytes, TG_SHIM_WRITE);
        if (c->from != NULL)
            memcpy(c->to, c->from, c->bytes);
        else
            memset(c->to, 0, c->bytes);
        q->first = (q->first + 1) % MOST_PENDING;
        --q->count;
    }
}

void tg_shim_check_copies(void)
{
    if (queues[tg_shim_running_thread()].count > 0)
        tg_shim_fault("ends while copies to shared memory are on the way");
}
