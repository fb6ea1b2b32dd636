/*
 * sub -> dropout/Sub
 * pointwise, float32 []
 */
static void k00_sub(const tg_step *s, int64_t chunk)
{
    const float *restrict keep = (const float *)(s->feeds[1]);
    float *restrict sub_out = (float *)(s->fixed + 0);
    float *restrict sub_out_1 = (float *)(s->fixed + 64);
    const float keep_1 = keep[0];
    (void)chunk;
    {
        const float sub = 1.0f - keep_1; /* sub */
        sub_out[0] = sub;
        const float sub_1 = 1.0f - sub; /* dropout/Sub */
        sub_out_1[0] = sub_1;
    }
}

/*
 * dropout/random_uniform/RandomUniform
 * random, float32 [N, 20]
 */
static void k01_random(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    float *restrict randomuniform_out = (float *)(s->batch + 0 * N);
    const tg_seeds key = {s->random[0], s->random[1]};
    const int64_t first = chunk * 4096;
    const int64_t last = tg_least(first + 4096, 20 * N);
    tg_uniform_f32(randomuniform_out, first, last, key, s->random[2]);
}

/*
 * dropout/RealDiv -> dropout/GreaterEqual -> dropout/SelectV2
 * pointwise, float32 [N, 20]
 */
static void k02_realdiv_greaterequal_selectv2(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    const float *restrict sub = (const float *)(s->fixed + 64);
    const float *restrict randomuniform = (const float *)(s->batch + 0 * N);
    const float *restrict sub_2 = (const float *)(s->fixed + 0);
    float *restrict selectv2_out = (float *)(s->fetches[0]);
    const float sub_1 = sub[0];
    const float sub_3 = sub_2[0];
    const int64_t last = tg_least((chunk + 1) * 16384, 20 * N);
    for (int64_t i = chunk * 16384; i < last; ++i) {
        const float realdiv = x[i] / sub_1; /* dropout/RealDiv */
        const bool greaterequal = randomuniform[i] >= sub_3; /* dropout/GreaterEqual */
        const float selectv2 = greaterequal ? realdiv : 0.0f; /* dropout/SelectV2 */
        selectv2_out[i] = selectv2;
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
    TG_KERNEL(0, k00_sub, tg_chunks(1, 16384))
    TG_KERNEL(1, k01_random, tg_chunks(20 * N, 4096))
    TG_KERNEL(2, k02_realdiv_greaterequal_selectv2, tg_chunks(20 * N, 16384))
    return s->failed;
}
