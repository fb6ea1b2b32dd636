/*
 * loss -> gradients/loss_grad/mul
 * rows, float32 [N, 10]
 */
static void k00_rows_sub_exp_sum(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    const float *restrict labels = (const float *)(s->feeds[1]);
    float *restrict sum_out = (float *)(s->fetches[0]);
    float *restrict mul_out = (float *)(s->fetches[1]);
    const int64_t last = tg_least((chunk + 1) * 546, N);
    for (int64_t i = chunk * 546; i < last; ++i) {
        float sub_row[10];
        float exp_row[10];
        float max = -INFINITY;
        for (int64_t j = 0; j < 10; ++j) {
            max = tg_max_f32(max, x[i * 10 + j]);
        }
        float sum = 0.0f;
        for (int64_t j = 0; j < 10; ++j) {
            const float sub = x[i * 10 + j] - max; /* loss: Sub */
            sub_row[j] = sub;
            const float exp = tg_exp_f32(sub); /* loss: Exp */
            exp_row[j] = exp;
            sum += exp;
        }
        const float log = tg_log_f32(sum); /* loss: Log */
        float sum_1 = 0.0f;
        for (int64_t j = 0; j < 10; ++j) {
            const float sub_1 = log - sub_row[j]; /* loss: Sub */
            const float mul = labels[i * 10 + j] * sub_1; /* loss: Mul */
            sum_1 += mul;
            const float realdiv = exp_row[j] / sum; /* loss: RealDiv */
            const float sub_2 = realdiv - labels[i * 10 + j]; /* loss: Sub */
            const float mul_1 = 1.0f * sub_2; /* gradients/loss_grad/mul */
            mul_out[i * 10 + j] = mul_1;
        }
        sum_out[i] = sum_1;
    }
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_rows_sub_exp_sum},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        tg_chunks(N, 546),
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
