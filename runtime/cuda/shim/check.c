/*
 * What the host shim makes of the accesses of a checking module: every access must lie in memory that is there, and two
 * threads may touch the same bytes, one of them writing, only if a barrier (in one warp: a meeting) lies between.
 *
 * The compiler announces the accesses (-fsanitize=thread; shim.h takes the calls). Memory of the device lies in one reserved
 * range, each allocation at the end of its pages with a page that cannot be touched behind it. For each word of device and
 * shared memory the last accesses of different threads are kept.
 */
#define _GNU_SOURCE
#include "runtime.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RESERVED ((size_t)256 << 30)
#define PAGE ((size_t)4096)
#define ALIGNMENT ((size_t)256) /* what cudaMalloc promises */
#define KEPT 6

typedef struct touch {
    uint64_t block;
    uint32_t launch, epoch, warp_epoch;
    uint16_t thread;
    uint8_t bytes; /* bit i: byte i of the word */
    uint8_t kind;
} touch;

typedef struct word {
    touch touches[KEPT];
    unsigned next;
} word;

typedef struct allocation {
    unsigned char *begin, *end, *pages;
    size_t page_bytes;
    word *words; /* once a checking module has touched it */
} allocation;

/* this library: its tables are read by the functions that a kernel calls */
extern const unsigned char __ehdr_start[] __attribute__((visibility("hidden")));
extern const unsigned char _end[] __attribute__((visibility("hidden")));

static unsigned char *device, *unused;
static allocation *allocations; /* by address */
static size_t allocation_count, allocation_room;
static word *shared_words;
static size_t shared_word_count;

/* --- device memory -------------------------------------------------------------------------------------------------- */

/* New memory, filled with bytes 255 (NaN as floats). NULL if there is none. */
void *tg_shim_allocate(size_t bytes)
{
    if (device == NULL) {
        void *range = mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED)
            return NULL;
        device = unused = range;
    }
    const size_t size = (bytes + (bytes == 0) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t page_bytes = (size + PAGE - 1) / PAGE * PAGE;
    if (page_bytes + PAGE > (size_t)(device + RESERVED - unused) || mprotect(unused, page_bytes, PROT_READ | PROT_WRITE) != 0)
        return NULL;
    if (allocation_count == allocation_room) {
        const size_t room = allocation_room * 2 + 64;
        allocation *larger = realloc(allocations, room * sizeof *larger);
        if (larger == NULL)
            return NULL;
        allocations = larger;
        allocation_room = room;
    }
    unsigned char *begin = unused + page_bytes - size;
    allocations[allocation_count++] = (allocation){begin, begin + bytes, unused, page_bytes, NULL};
    unused += page_bytes + PAGE;
    memset(begin, 255, size);
    return begin;
}

/* The allocation that begins last, not after `address`; NULL if all begin later. */
static allocation *allocation_before(const unsigned char *address)
{
    size_t low = 0, high = allocation_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (allocations[middle].begin <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? NULL : &allocations[low - 1];
}

/* Gives memory back; its addresses are never used again. */
void tg_shim_free(void *address)
{
    allocation *a = allocation_before(address);
    if (a == NULL || a->begin != address)
        return;
    mmap(a->pages, a->page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    free(a->words);
    memmove(a, a + 1, (size_t)(allocations + allocation_count - (a + 1)) * sizeof *a);
    --allocation_count;
}

/* True if these bytes lie in one allocation. */
int tg_shim_is_allocated(const void *address, size_t bytes)
{
    const unsigned char *first = address;
    const allocation *a = allocation_before(first);
    return a != NULL && first <= a->end && bytes <= (size_t)(a->end - first);
}

/* --- races ---------------------------------------------------------------------------------------------------------- */

/* `is_shared`: in memory that each block has for itself. */
static bool conflicts(const touch *before, const touch *now, bool is_shared)
{
    if (!(before->bytes & now->bytes) || before->launch != now->launch)
        return false;
    if (before->kind == now->kind && now->kind != TG_SHIM_WRITE)
        return false; /* reads, or atomic operations */
    if (before->block != now->block)
        return !is_shared;
    if (before->thread == now->thread || before->epoch != now->epoch)
        return false;
    const bool same_warp = before->thread / TG_SHIM_WARP == now->thread / TG_SHIM_WARP;
    return !same_warp || tg_shim_now.lane_epochs[now->thread] <= before->warp_epoch;
}

static const char *const names[] = {"read", "written", "changed atomically"};

static void note(word *w, const touch *now, const void *address, bool is_shared)
{
    touch *place = NULL;
    for (unsigned i = 0; i < KEPT; ++i) {
        touch *before = &w->touches[i];
        if (conflicts(before, now, is_shared))
            tg_shim_fault("race: %p is %s here and %s by thread %u of block %llu without a barrier between", address, names[now->kind],
                          names[before->kind], before->thread, (unsigned long long)before->block);
        const bool same = before->thread == now->thread && before->block == now->block && before->kind == now->kind;
        const bool is_over = before->launch != now->launch || (is_shared && before->block != now->block);
        if (place == NULL && (is_over || same))
            place = before;
    }
    if (place == NULL)
        place = &w->touches[w->next++ % KEPT];
    const bool adds = place->launch == now->launch && place->epoch == now->epoch && place->thread == now->thread &&
                      place->block == now->block && place->kind == now->kind;
    const uint8_t bytes = adds ? place->bytes | now->bytes : now->bytes;
    *place = *now;
    place->bytes = bytes;
}

static void check_race(word *words, const unsigned char *base, const unsigned char *first, size_t bytes, tg_shim_access kind,
                       bool is_shared)
{
    touch now = {tg_shim_now.block, tg_shim_now.launches, tg_shim_now.epoch, tg_shim_now.warp_epoch,
                 (uint16_t)tg_shim_running_thread(), 0, (uint8_t)kind};
    size_t at = (size_t)(first - base);
    while (bytes > 0) {
        const size_t within = at % 4, count = bytes < 4 - within ? bytes : 4 - within;
        now.bytes = (uint8_t)(((1u << count) - 1) << within);
        note(&words[at / 4], &now, base + at, is_shared);
        at += count;
        bytes -= count;
    }
}

static word *new_words(size_t bytes)
{
    word *words = calloc(bytes / 4 + 1, sizeof *words);
    if (words == NULL)
        tg_shim_fault("no memory to follow accesses with");
    return words;
}

/* --- accesses ------------------------------------------------------------------------------------------------------- */

static bool is_in(const unsigned char *first, size_t bytes, const unsigned char *begin, const unsigned char *end)
{
    return begin != NULL && first >= begin && first <= end && bytes <= (size_t)(end - first);
}

static void check_shared(const unsigned char *base, size_t offset, const unsigned char *first, size_t bytes, tg_shim_access kind)
{
    const tg_shim_module_info *module = tg_shim_now.launch->module;
    const size_t all = TG_SHIM_MOST_SHARED + (size_t)(module->shared_end - module->shared_begin);
    if (all > shared_word_count) {
        free(shared_words);
        shared_word_count = all;
        shared_words = new_words(all);
    }
    check_race(shared_words + offset / 4, base, first, bytes, kind, true);
}

/* Says where an access is that is in no allocation, from the one that is nearest. */
__attribute__((noreturn)) static void fault_outside(const unsigned char *first, size_t bytes, tg_shim_access kind, const allocation *before)
{
    const allocation *after = before == NULL ? allocations : before + 1;
    const bool has_after = after < allocations + allocation_count;
    if (before == NULL && !has_after)
        tg_shim_fault("%zu bytes at %p are %s: nothing is allocated", bytes, (const void *)first, names[kind]);
    const bool is_after = before == NULL || (has_after && after->begin - first < first - before->end);
    const allocation *a = is_after ? after : before;
    tg_shim_fault("%zu bytes at %p are %s, %lld bytes from the beginning of %lld bytes of device memory", bytes, (const void *)first,
                  names[kind], (long long)(first - a->begin), (long long)(a->end - a->begin));
}

static void check_device(const unsigned char *first, size_t bytes, tg_shim_access kind)
{
    allocation *a = allocation_before(first);
    if (a == NULL || !is_in(first, bytes, a->begin, a->end))
        fault_outside(first, bytes, kind, a);
    if (a->words == NULL)
        a->words = new_words((size_t)(a->end - a->begin));
    check_race(a->words, a->begin, first, bytes, kind, false);
}

void tg_shim_check_access(const void *address, size_t bytes, tg_shim_access kind)
{
    const unsigned char *first = address;
    const tg_shim_launch_info *launch = tg_shim_now.launch;
    const tg_shim_module_info *module = launch->module;
    if (is_in(first, bytes, tg_shim_now.stacks_begin, tg_shim_now.stacks_end))
        return;
    if ((uintptr_t)first % (bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16 ? bytes : 1) != 0)
        tg_shim_fault("%zu bytes at %p are %s: the address is no multiple of the size", bytes, address, names[kind]);
    if (device != NULL && is_in(first, 0, device, device + RESERVED))
        check_device(first, bytes, kind);
    else if (is_in(first, bytes, module->shared_begin, module->shared_end))
        check_shared(module->shared_begin, TG_SHIM_MOST_SHARED, first, bytes, kind);
    else if (is_in(first, 0, tg_shim_now.dynamic_begin, tg_shim_now.dynamic_begin + TG_SHIM_MOST_SHARED)) {
        if (!is_in(first, bytes, tg_shim_now.dynamic_begin, tg_shim_now.dynamic_begin + launch->shared_bytes))
            tg_shim_fault("%zu bytes at %p are %s behind the %llu bytes of dynamic shared memory", bytes, address, names[kind],
                          (unsigned long long)launch->shared_bytes);
        check_shared(tg_shim_now.dynamic_begin, 0, first, bytes, kind);
    } else if (kind == TG_SHIM_WRITE || !(is_in(first, bytes, module->image_begin, module->image_end) || is_in(first, bytes, __ehdr_start, _end)))
        tg_shim_fault("%zu bytes at %p are %s: that is no memory of the device", bytes, address, names[kind]);
}
