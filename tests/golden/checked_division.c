/*
 * quotient -> mul
 * pointwise, int32 [N]
 */
static void k00_floordiv_mul(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const int32_t *restrict x = (const int32_t *)(s->feeds[0]);
    const int32_t *restrict y = (const int32_t *)(s->feeds[1]);
    int32_t *restrict mul_out = (int32_t *)(s->fetches[0]);
    const int64_t last = tg_least((chunk + 1) * 16384, N);
    for (int64_t i = chunk * 16384; i < last; ++i) {
        if (!(y[i] != 0))
            tg_fail(s, 1);
        const int32_t quotient = tg_floordiv_i32(x[i], y[i]); /* quotient */
        const int32_t mul = quotient * 2; /* mul */
        mul_out[i] = mul;
    }
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_floordiv_mul},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        tg_chunks(N, 16384),
    };
    int64_t next = first;                          /* kernels before it are done: they were run together */
    (void)N;
    s->failed = 0;
    for (int64_t i = 0; i < 1 && !s->failed; ++i) {
        const bool joined = tg_launches[i].first < tg_launches[i].last;
        if (tg_launches[i].first < (joined ? first : next) || tg_launches[i].last >= last)
            continue;
        tg_launch(s, tg_launches[i].function, chunks[i]);
        if (joined)
            next = tg_launches[i].last + 1;
    }
    return s->failed;
}
