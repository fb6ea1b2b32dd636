/*
 * The host shim's scheduler: the threads of one block as fibers, block after block, on one thread of the host.
 *
 * A fiber takes threads that have not begun and runs each to its end. Only one that must wait (for a barrier, for its
 * warp) keeps its fiber; then the next fiber goes on. Kernels without barriers therefore need one fiber and no switch.
 * A thread runs until it must wait, so a result that depends on the order of threads depends on `order` alone.
 */
#define _GNU_SOURCE
#include "runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

typedef struct fiber {
    tg_shim_thread *top;  /* of its stack */
    jmp_buf resume;
    int created;          /* it has a stack, which is in use */
    int is_running;       /* a thread that waits is on it */
    unsigned thread;      /* which, as its number in the block */
    const volatile uint32_t *awaited;  /* goes on when this number is another than `seen` */
    uint32_t seen;
} fiber;

typedef struct lane {
    uint64_t given, received;
    unsigned source;
    uint32_t meetings;    /* how often it has met lanes of its warp */
} lane;

typedef struct warp {
    lane lanes[TG_SHIM_WARP];
    uint32_t arrived;
    int lines[TG_SHIM_WARP]; /* where each lane that has arrived waits */
    unsigned parity;
    unsigned char given[TG_SHIM_WARP][TG_SHIM_SHARE];
    unsigned char shown[2][TG_SHIM_WARP][TG_SHIM_SHARE];
} warp;

tg_shim_state tg_shim_now;

static fiber fibers[TG_SHIM_THREADS];
static warp warps[TG_SHIM_THREADS / TG_SHIM_WARP];
static fiber *running;
static jmp_buf scheduler;
static ucontext_t scheduler_context;
static unsigned char *stacks, *dynamic_shared;
static unsigned order_of_threads[TG_SHIM_THREADS];
static unsigned thread_count, begun, ended;
static unsigned fiber_count, next_of_fibers; /* those that this block uses, and which of them to try next */
static uint32_t barrier_arrived, barriers;
static int barrier_line;
static char message[512];

enum { TO_GO_ON = 1, TO_STOP };

/* --- faults --------------------------------------------------------------------------------------------------------- */

void tg_shim_fault(const char *format, ...)
{
    char text[320];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    const tg_shim_thread *self = running->top;
    snprintf(message, sizeof message, "%s: block (%u, %u, %u), thread (%u, %u, %u): %s", tg_shim_now.launch->name,
             self->block_index.x, self->block_index.y, self->block_index.z, self->thread_index.x, self->thread_index.y,
             self->thread_index.z, text);
    _longjmp(scheduler, TO_STOP);
}

static void fault(const char *text)
{
    tg_shim_fault("%s", text);
}

/* --- waiting -------------------------------------------------------------------------------------------------------- */

/* Lets others run until *number is another than now. */
static void wait_for(const volatile uint32_t *number)
{
    running->awaited = number;
    running->seen = *number;
    running->is_running = 1;
    if (_setjmp(running->resume) == 0)
        _longjmp(scheduler, TO_GO_ON);
}

/* Everybody who has not ended is at the barrier: they may go on. */
static void open_barrier_if_complete(void)
{
    if (barrier_arrived == 0 || barrier_arrived + ended < thread_count)
        return;
    barrier_arrived = 0;
    ++barriers;
    ++tg_shim_now.epoch;
}

static void barrier(int line)
{
    if (barrier_arrived == 0)
        barrier_line = line;
    else if (line != barrier_line)
        tg_shim_fault("waits at the barrier of line %d while others wait at that of line %d", line, barrier_line);
    ++barrier_arrived;
    const uint32_t before = barriers;
    open_barrier_if_complete();
    if (barriers == before)
        wait_for(&barriers);
}

/* Waits for all lanes of `mask`. True for the one that came last, before the others go on. */
static int meet(uint32_t mask, int line, warp **of, unsigned *own)
{
    const unsigned thread = running->thread, number = thread % TG_SHIM_WARP;
    warp *w = *of = &warps[thread / TG_SHIM_WARP];
    *own = number;
    if (!(mask >> number & 1))
        tg_shim_fault("line %d: lane %u is not in its own mask %#x", line, number, mask);
    for (unsigned i = 0; i < TG_SHIM_WARP; ++i) // parts of a warp, each with its mask, may be in different lines
        if ((w->arrived & mask) >> i & 1 && w->lines[i] != line)
            tg_shim_fault("line %d: others of the warp wait for it in line %d", line, w->lines[i]);
    w->lines[number] = line;
    w->arrived |= 1u << number;
    return (w->arrived & mask) == mask;
}

static void release(warp *w, uint32_t mask)
{
    w->arrived &= ~mask;
    ++tg_shim_now.warp_epoch;
    for (unsigned i = 0; i < TG_SHIM_WARP; ++i)
        if (mask >> i & 1) {
            ++w->lanes[i].meetings;
            tg_shim_now.lane_epochs[(unsigned)(w - warps) * TG_SHIM_WARP + i] = tg_shim_now.warp_epoch;
        }
}

static uint64_t shuffle(uint32_t mask, uint64_t value, unsigned source, int line)
{
    warp *w;
    unsigned own;
    const int is_last = meet(mask, line, &w, &own);
    w->lanes[own].given = value;
    w->lanes[own].source = source;
    if (is_last) {
        for (unsigned i = 0; i < TG_SHIM_WARP; ++i)
            if (mask >> i & 1) {
                const unsigned from = w->lanes[i].source % TG_SHIM_WARP;
                if (!(mask >> from & 1))
                    tg_shim_fault("line %d: lane %u asks for the value of lane %u, which is not in mask %#x", line, i, from, mask);
                w->lanes[i].received = w->lanes[from].given;
            }
        release(w, mask);
    } else
        wait_for(&w->lanes[own].meetings);
    return w->lanes[own].received;
}

static uint32_t ballot(uint32_t mask, int predicate, int line)
{
    warp *w;
    unsigned own;
    const int is_last = meet(mask, line, &w, &own);
    w->lanes[own].given = predicate != 0;
    if (is_last) {
        uint32_t bits = 0;
        for (unsigned i = 0; i < TG_SHIM_WARP; ++i)
            bits |= (mask >> i & 1 && w->lanes[i].given) ? 1u << i : 0;
        for (unsigned i = 0; i < TG_SHIM_WARP; ++i)
            if (mask >> i & 1)
                w->lanes[i].received = bits;
        release(w, mask);
    } else
        wait_for(&w->lanes[own].meetings);
    return (uint32_t)w->lanes[own].received;
}

static const unsigned char *share(const void *mine, size_t bytes, int line)
{
    warp *w;
    unsigned own;
    if (bytes > TG_SHIM_SHARE)
        tg_shim_fault("line %d: a lane shares %zu bytes, at most %d are possible", line, bytes, TG_SHIM_SHARE);
    const int is_last = meet(UINT32_MAX, line, &w, &own);
    memcpy(w->given[own], mine, bytes);
    if (is_last) {
        w->parity ^= 1;
        memcpy(w->shown[w->parity], w->given, sizeof w->given);
        for (unsigned i = 0; i < TG_SHIM_WARP; ++i)
            w->lanes[i].received = w->parity;
        release(w, UINT32_MAX);
    } else
        wait_for(&w->lanes[own].meetings);
    return w->shown[w->lanes[own].received][0];
}

static const tg_shim_runtime functions = {
    barrier, shuffle, ballot, share, tg_shim_copy, tg_shim_end_copies, tg_shim_await_copies, tg_shim_check_access, fault,
};

unsigned tg_shim_running_thread(void)
{
    return running->thread;
}

/* --- fibers --------------------------------------------------------------------------------------------------------- */

static uint3 place(uint64_t number, uint3 size)
{
    const uint3 at = {(unsigned)(number % size.x), (unsigned)(number / size.x % size.y), (unsigned)(number / size.x / size.y)};
    return at;
}

static void run_threads(void)
{
    for (;;) {
        while (begun < thread_count) {
            running->thread = order_of_threads[begun++];
            running->top->thread_index = place(running->thread, running->top->block_size);
            tg_shim_now.launch->entry(tg_shim_now.launch->parameters);
            tg_shim_check_copies();
            ++ended;
            open_barrier_if_complete();
        }
        running->is_running = 0;
        if (_setjmp(running->resume) == 0)
            _longjmp(scheduler, TO_GO_ON);
    }
}

static void create(fiber *f)
{
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = f->top + 1;
    context.uc_stack.ss_size = TG_SHIM_STACK - sizeof *f->top;
    context.uc_link = NULL;
    makecontext(&context, run_threads, 0);
    f->created = 1;
    swapcontext(&scheduler_context, &context);
}

/* Runs a fiber until it waits or has nothing left to do. */
static void resume(fiber *f)
{
    running = f;
    if (f->created)
        _longjmp(f->resume, 1);
    create(f);
}

/* The next fiber that can go on: one for threads that have not begun, then one that waits no more. NULL if there is none. */
static fiber *next_fiber(void)
{
    if (begun < thread_count)
        return &fibers[fiber_count++];
    for (unsigned tried = 0; tried < fiber_count; ++tried) {
        fiber *f = &fibers[next_of_fibers];
        next_of_fibers = next_of_fibers + 1 < fiber_count ? next_of_fibers + 1 : 0;
        if (f->is_running && *f->awaited != f->seen)
            return f;
    }
    return NULL;
}

/* --- launches ------------------------------------------------------------------------------------------------------- */

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int prepare(void)
{
    if (stacks != NULL)
        return 1;
    unsigned char *memory = reserve((TG_SHIM_THREADS + 1) * TG_SHIM_STACK);
    dynamic_shared = reserve(TG_SHIM_MOST_SHARED);
    if (memory == NULL || dynamic_shared == NULL)
        return 0;
    stacks = (unsigned char *)(((uintptr_t)memory + TG_SHIM_STACK - 1) & ~(TG_SHIM_STACK - 1));
    for (unsigned i = 0; i < TG_SHIM_THREADS; ++i)
        fibers[i].top = (tg_shim_thread *)(stacks + i * TG_SHIM_STACK);
    tg_shim_now.stacks_begin = stacks;
    tg_shim_now.stacks_end = stacks + TG_SHIM_THREADS * TG_SHIM_STACK;
    tg_shim_now.dynamic_begin = dynamic_shared;
    return 1;
}

static void spoil_shared(void)
{
    const tg_shim_launch_info *launch = tg_shim_now.launch;
    memset(dynamic_shared, 255, launch->shared_bytes);
    if (launch->module->shared_begin != NULL)
        memset(launch->module->shared_begin, 255, (size_t)(launch->module->shared_end - launch->module->shared_begin));
}

static void begin_block(uint64_t number)
{
    const tg_shim_launch_info *launch = tg_shim_now.launch;
    const tg_shim_thread block = {{0, 0, 0}, place(number, launch->grid), launch->block, launch->grid, dynamic_shared, &functions};
    for (unsigned i = 0; i < thread_count; ++i)
        *fibers[i].top = block;
    for (unsigned i = 0; i < (thread_count + TG_SHIM_WARP - 1) / TG_SHIM_WARP; ++i)
        warps[i].arrived = 0;
    tg_shim_begin_copies(thread_count);
    begun = ended = fiber_count = next_of_fibers = 0;
    barrier_arrived = 0;
    tg_shim_now.block = number;
    ++tg_shim_now.epoch;
}

/* Each fiber comes back to the one _setjmp when its thread must wait. */
static void run_block(void)
{
    const int came = _setjmp(scheduler);
    if (came == TO_STOP) {
        for (unsigned i = 0; i < TG_SHIM_THREADS; ++i)
            fibers[i].created = fibers[i].is_running = 0;
        return;
    }
    if (ended == thread_count)
        return;
    fiber *next = next_fiber();
    if (next != NULL)
        resume(next);
    for (running = fibers; !running->is_running; ++running)
        ;
    tg_shim_fault("waits for threads that have ended or wait for others (the last barrier is that of line %d)", barrier_line);
}

static const char *refusal(const tg_shim_launch_info *launch)
{
    const uint64_t threads = (uint64_t)launch->block.x * launch->block.y * launch->block.z;
    if (threads == 0 || threads > TG_SHIM_THREADS)
        return "a block has 1 to 1024 threads";
    if (launch->grid.x == 0 || launch->grid.x > INT32_MAX || launch->grid.y == 0 || launch->grid.y > UINT16_MAX ||
        launch->grid.z == 0 || launch->grid.z > UINT16_MAX)
        return "a grid has 1 to 2147483647 x 65535 x 65535 blocks";
    if (launch->shared_bytes > TG_SHIM_MOST_SHARED)
        return "a block has at most 227 KiB of shared memory";
    return NULL;
}

/* Runs all blocks of a launch. NULL, or what went wrong. */
const char *tg_shim_launch(const tg_shim_launch_info *launch)
{
    const char *refused = refusal(launch);
    if (refused == NULL && !prepare())
        refused = "no memory for the stacks of a block's threads";
    if (refused != NULL) {
        snprintf(message, sizeof message, "%s: %s", launch->name, refused);
        return message;
    }
    message[0] = 0;
    tg_shim_now.launch = launch;
    ++tg_shim_now.launches;
    thread_count = launch->block.x * launch->block.y * launch->block.z;
    tg_shim_order_threads(order_of_threads, thread_count, launch->order);
    spoil_shared();
    const uint64_t blocks = (uint64_t)launch->grid.x * launch->grid.y * launch->grid.z;
    const uint64_t step = tg_shim_block_step(blocks, launch->order);
    for (uint64_t i = 0; i < blocks && message[0] == 0; ++i) {
        if (launch->module->checks && i > 0)
            spoil_shared();
        begin_block(tg_shim_block_at(i, blocks, launch->order, step));
        run_block();
    }
    return message[0] ? message : NULL;
}
