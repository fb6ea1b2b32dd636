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

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
#define TG_KERNEL(number, kernel, chunks)                 \
    if (first <= (number) && (number) < last) {           \
        tg_launch(s, kernel, chunks);                     \
        if (s->failed)                                    \
            return s->failed;                             \
    }

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);
__attribute__((visibility("default"))) void *tg_new_pool(int64_t threads);

int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    (void)N;
    s->failed = 0;
    TG_KERNEL(0, k00_floordiv_mul, tg_chunks(N, 16384))
    return s->failed;
}
