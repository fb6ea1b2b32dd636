/*
 * Runs one step of a generated program with memory that it reads from standard input, and writes what the step
 * leaves to standard output. Linked with the program; the other side is tests/_emulated.py.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tg_step {
    int64_t N;
    char *batch, *fixed;
    const void *const *feeds;
    void *const *fetches;
    void *const *variables;
    const void *const *constants;
    const uint64_t *random;
    void *pool;
    int64_t failed;
} tg_step;

int64_t tg_run(tg_step *s, int64_t first, int64_t last);
void *tg_new_pool(int64_t threads);

enum { FEEDS, FETCHES, VARIABLES, CONSTANTS, TABLES };

static void receive(void *to, int64_t bytes)
{
    if (fread(to, 1, (size_t)bytes, stdin) != (size_t)bytes)
        exit(3);
}

static int64_t receive_number(void)
{
    int64_t number;
    receive(&number, sizeof number);
    return number;
}

/* Memory that starts at a multiple of 64 bytes and is full of NaN. */
static char *memory(int64_t bytes)
{
    char *block = malloc((size_t)bytes + 128);
    if (block == NULL)
        exit(4);
    memset(block, 0xff, (size_t)bytes + 128);
    return block + 64 - (uintptr_t)block % 64;
}

int main(void)
{
    const int64_t threads = receive_number(), kernels = receive_number();
    tg_step s = {.N = receive_number()};
    s.batch = memory(receive_number());
    s.fixed = memory(receive_number());
    int64_t counts[TABLES], *sizes[TABLES];
    void **tables[TABLES];
    for (int t = 0; t < TABLES; ++t) {
        counts[t] = receive_number();
        sizes[t] = (int64_t *)memory(counts[t] * (int64_t)sizeof(int64_t));
        tables[t] = (void **)memory(counts[t] * (int64_t)sizeof(void *));
        for (int64_t i = 0; i < counts[t]; ++i) {
            sizes[t][i] = receive_number();
            tables[t][i] = memory(sizes[t][i]);
            if (t != FETCHES)
                receive(tables[t][i], sizes[t][i]);
        }
    }
    const int64_t words = receive_number();
    uint64_t *random = (uint64_t *)memory(words * (int64_t)sizeof(uint64_t));
    receive(random, words * (int64_t)sizeof(uint64_t));
    s.feeds = (const void *const *)tables[FEEDS];
    s.fetches = tables[FETCHES];
    s.variables = tables[VARIABLES];
    s.constants = (const void *const *)tables[CONSTANTS];
    s.random = random;
    s.pool = threads > 1 ? tg_new_pool(threads) : NULL;
    const int64_t failed = tg_run(&s, 0, kernels);
    fwrite(&failed, sizeof failed, 1, stdout);
    for (int t = FETCHES; t <= VARIABLES; ++t)
        for (int64_t i = 0; i < counts[t]; ++i)
            fwrite(tables[t][i], 1, (size_t)sizes[t][i], stdout);
    return fflush(stdout) == 0 ? 0 : 5;
}
