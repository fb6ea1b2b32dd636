/*
 * The machine's limits: multiply-adds per second, bytes per second of loops over arrays of several sizes, and the time
 * that a cache line takes from one processor to another.
 * Compiled with -DVECTOR_BYTES=... -DSUMS=...; arguments: number of threads, how
 * often each loop is timed. Prints lines "name bytes figure".
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));
enum { LANES = VECTOR_BYTES / sizeof(float), MOST_THREADS = 256 };

typedef struct {
    vector *target;
    const vector *source;
    int64_t count;   /* vectors of this thread */
    int64_t repeats;
    float used;      /* keeps the compiler from leaving the work out */
} task;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float total(vector v)
{
    float sum = 0.0f;
    for (int i = 0; i < LANES; ++i)
        sum += v[i];
    return sum;
}

/* Independent chains of multiply-adds, enough to hide their latency. */
static void *multiply_add(void *argument)
{
    task *t = argument;
    const vector factor = (vector){0} + 0.999f, term = (vector){0} + (float)t->repeats;
    vector sums[SUMS];
    for (int i = 0; i < SUMS; ++i)
        sums[i] = (vector){0} + (float)i;
    for (int64_t r = 0; r < t->repeats; ++r)
#pragma GCC unroll 32 /* whole, so that the sums stay in registers */
        for (int i = 0; i < SUMS; ++i)
            sums[i] = sums[i] * factor + term;
    for (int i = 1; i < SUMS; ++i)
        sums[0] += sums[i];
    t->used = total(sums[0]);
    return 0;
}

/* The sum of an array: one stream of loads. */
static void *read_array(void *argument)
{
    task *t = argument;
    float used = 0.0f;
    for (int64_t r = 0; r < t->repeats; ++r) {
        vector sums[8] = {0};
        int64_t i = 0;
        for (; i + 8 <= t->count; i += 8)
            for (int j = 0; j < 8; ++j)
                sums[j] += t->source[i + j];
        for (int j = 1; j < 8; ++j)
            sums[0] += sums[j];
        used += total(sums[0]);
        __asm__ volatile("" ::: "memory");
    }
    t->used = used;
    return 0;
}

/* target = factor * source + target: two streams of loads, one of stores. */
static void *update_array(void *argument)
{
    task *t = argument;
    const vector factor = (vector){0} + 0.5f;
    for (int64_t r = 0; r < t->repeats; ++r) {
        for (int64_t i = 0; i < t->count; ++i)
            t->target[i] = t->source[i] * factor + t->target[i];
        __asm__ volatile("" ::: "memory");
    }
    t->used = t->target[0][0];
    return 0;
}

/* A number that two threads raise in turn: each time its cache line goes to the other processor. */
static int64_t turn;

static void *take_turns(void *argument)
{
    task *t = argument;
    for (int64_t r = 0; r < t->repeats; ++r) {
        while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) % 2 != t->count)
            ;
        __atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
    }
    return 0;
}

/* The shortest of so many runs on all threads, in seconds. */
static double shortest(void *(*work)(void *), task *tasks, int threads, int times)
{
    double best = 1e30;
    for (int time = 0; time < times; ++time) {
        pthread_t started[MOST_THREADS];
        const double start = seconds();
        for (int i = 1; i < threads; ++i)
            if (pthread_create(&started[i], 0, work, &tasks[i]))
                exit(1);
        work(&tasks[0]);
        for (int i = 1; i < threads; ++i)
            pthread_join(started[i], 0);
        const double taken = seconds() - start;
        if (taken < best)
            best = taken;
    }
    return best;
}

int main(int count, char **arguments)
{
    const int threads = count > 1 ? atoi(arguments[1]) : 1;
    const int times = count > 2 ? atoi(arguments[2]) : 1;
    if (threads < 1 || threads > MOST_THREADS)
        return 1;
    task tasks[MOST_THREADS] = {0};
    const int64_t steps = 4000000;
    for (int i = 0; i < threads; ++i)
        tasks[i].repeats = steps;
    const double operations = 2.0 * SUMS * LANES * (double)steps * threads;
    printf("fma 0 %.6e\n", operations / shortest(multiply_add, tasks, threads, times));

    const int64_t largest = (int64_t)1 << 28, touched = (int64_t)1 << 29;
    char *memory = aligned_alloc(4096, (size_t)largest);
    if (!memory)
        return 1;
    for (int64_t i = 0; i < largest / (int64_t)sizeof(float); ++i)
        ((float *)memory)[i] = 1e-3f;
    for (int64_t bytes = (int64_t)1 << 15; bytes <= largest; bytes *= 2) {
        const int64_t share = bytes / threads / VECTOR_BYTES / 2 * 2;
        for (int i = 0; i < threads; ++i) {
            vector *own = (vector *)memory + i * share;
            const int64_t repeats = touched / bytes;
            tasks[i] = (task){.source = own, .count = share, .repeats = repeats};
        }
        printf("read %lld %.6e\n", (long long)bytes, (double)touched / shortest(read_array, tasks, threads, times));
        for (int i = 0; i < threads; ++i) {
            tasks[i].target = (vector *)memory + i * share;
            tasks[i].source = tasks[i].target + share / 2;
            tasks[i].count = share / 2;
        }
        printf("update %lld %.6e\n", (long long)bytes, 1.5 * (double)touched / shortest(update_array, tasks, threads, times));
    }
    free(memory);

    if (threads > 1) {
        const int64_t rounds = 20000;
        for (int64_t i = 0; i < 2; ++i)
            tasks[i] = (task){.repeats = rounds, .count = i};
        printf("line 0 %.6e\n", shortest(take_turns, tasks, 2, times) / (2.0 * (double)rounds));
    }
    return 0;
}
