/* In which order the host shim runs threads and blocks: 0 first to last, 1 last to first, else the seed of a permutation. */
#include "runtime.h"

static uint64_t mixed(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

void tg_shim_order_threads(unsigned *threads, unsigned count, uint64_t order)
{
    for (unsigned i = 0; i < count; ++i)
        threads[i] = order == 1 ? count - 1 - i : i;
    if (order < 2)
        return;
    for (unsigned i = count; i > 1; --i) {
        const unsigned other = (unsigned)(mixed(order + i) % i), kept = threads[i - 1];
        threads[i - 1] = threads[other];
        threads[other] = kept;
    }
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    return b == 0 ? a : greatest_divisor(b, a % b);
}

/* All blocks run once, for the step has no divisor in common with their count. */
uint64_t tg_shim_block_at(uint64_t i, uint64_t count, uint64_t order, uint64_t step)
{
    return order == 0 ? i : order == 1 ? count - 1 - i : (i * step + mixed(order) % count) % count;
}

uint64_t tg_shim_block_step(uint64_t count, uint64_t order)
{
    if (order < 2)
        return 1;
    uint64_t step = mixed(order ^ count) % count | 1;
    while (greatest_divisor(step, count) != 1)
        ++step;
    return step;
}
