/*
 * sub -> dropout/Sub -> dropout/RealDiv -> dropout/random_uniform/RandomUniform -> dropout/GreaterEqual -> dropo
 * ut/SelectV2
 * pointwise, float32 [N, 20]
 */
static void k00_sub_realdiv_randomuniform_greaterequal(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict keep = (const float *)(s->feeds[1]);
    const float *restrict x = (const float *)(s->feeds[0]);
    float *restrict selectv2_out = (float *)(s->fetches[0]);
    const tg_seeds key = {s->random[0], s->random[1]};
    const float keep_1 = keep[0];
    const float sub = 1.0f - keep_1; /* sub */
    const float sub_1 = 1.0f - sub; /* dropout/Sub */
    const int64_t last = tg_least((chunk + 1) * 16384, 20 * N);
    for (int64_t strip = chunk * 16384; strip < last; strip += 64) {
        float randomuniform[64];
        tg_uniform_f32_block(randomuniform, key, s->random[2] + (uint64_t)strip / 4);
        for (int64_t i = strip; i < tg_least(strip + 64, last); ++i) {
            const float realdiv = x[i] / sub_1; /* dropout/RealDiv */
            const bool greaterequal = randomuniform[i - strip] >= sub; /* dropout/GreaterEqual */
            const float selectv2 = greaterequal ? realdiv : 0.0f; /* dropout/SelectV2 */
            selectv2_out[i] = selectv2;
        }
    }
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_sub_realdiv_randomuniform_greaterequal},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        tg_chunks(20 * N, 16384),
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
