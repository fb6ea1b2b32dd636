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
    TG_KERNEL(0, k00_rows_sub_exp_sum, tg_chunks(N, 546))
    return s->failed;
}
