/* k00_rows_square_realdiv_max, first launch: one part of the rows, and what it adds to the results of all rows. */
static void k00_rows_square_realdiv_max_parts(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    float *restrict sum_total_parts = (float *)(s->fixed + 0);
    float *restrict peak_total_parts = (float *)(s->fixed + 4096);
    const int64_t size = tg_chunks(N, tg_parts(N, 327, 64));
    const int64_t to = tg_least((chunk + 1) * size, N);
    float sum_total = 0.0f;
    float peak_total[50];
    for (int64_t e = 0; e < 50; ++e)
        peak_total[e] = -INFINITY;
    for (int64_t i = chunk * size; i < to; ++i) {
        float sum = 0.0f;
        #pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < 48; ++j) {
            const float square = tg_product_f32(x[i * 50 + j], x[i * 50 + j]); /* Square */
            sum += square;
            peak_total[j] = tg_max_f32(peak_total[j], x[i * 50 + j]);
        }
        for (int64_t j = 48; j < 50; ++j) {
            const float square = tg_product_f32(x[i * 50 + j], x[i * 50 + j]); /* Square */
            sum += square;
            peak_total[j] = tg_max_f32(peak_total[j], x[i * 50 + j]);
        }
        sum_total += sum;
    }
    sum_total_parts[chunk] = sum_total;
    for (int64_t e = 0; e < 50; ++e)
        peak_total_parts[chunk * 50 + e] = peak_total[e];
}

/*
 * Square -> power -> peak
 * rows, float32 [N, 50]
 */
static void k00_rows_square_realdiv_max(const tg_step *s, int64_t chunk)
{
    (void)chunk;  // there is one only
    const int64_t N = s->N;
    float *restrict realdiv_out = (float *)(s->fetches[0]);
    float *restrict peak_out = (float *)(s->fetches[1]);
    float *restrict sum_total_parts = (float *)(s->fixed + 0);
    float *restrict peak_total_parts = (float *)(s->fixed + 4096);
    const int64_t parts = tg_parts(N, 327, 64);
    float sum_1 = 0.0f;
    for (int64_t part = 0; part < parts; ++part) {
        sum_1 += sum_total_parts[part];
    }
    const float realdiv = sum_1 / (float)(50 * N); /* power: RealDiv */
    realdiv_out[0] = realdiv;
    for (int64_t e = 0; e < 50; ++e) {
        float peak = -INFINITY;
        for (int64_t part = 0; part < parts; ++part) {
            peak = tg_max_f32(peak, peak_total_parts[part * 50 + e]);
        }
        peak_out[e] = peak;
    }
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_rows_square_realdiv_max_parts},
    {0, 0, k00_rows_square_realdiv_max},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        tg_parts(N, 327, 64),
        1,
    };
    int64_t next = first;                          /* kernels before it are done: they were run together */
    (void)N;
    s->failed = 0;
    for (int64_t i = 0; i < 2 && !s->failed; ++i) {
        const bool joined = tg_launches[i].first < tg_launches[i].last;
        if (tg_launches[i].first < (joined ? first : next) || tg_launches[i].last >= last)
            continue;
        tg_launch(s, tg_launches[i].function, chunks[i]);
        if (joined)
            next = tg_launches[i].last + 1;
    }
    return s->failed;
}
