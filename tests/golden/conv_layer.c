/*
 * conv -> BiasAdd -> activation -> pool
 * conv2d, float32 [N, 12, 12, 16]
 */
static void k00_conv2d_add_relu_maxpool(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    const float *restrict w = (const float *)(s->variables[0]);
    float *restrict y = (float *)(s->fetches[0]);
    const float *restrict bias = (const float *)(s->variables[1]);
    float window[588];
    float lines[384];  // the sums of the rows that one row of windows covers
    const bool past = N * 2304 > 25165824 && (uintptr_t)y % 32 == 0;
    for (int64_t image = chunk * 8; image < tg_smaller((chunk + 1) * 8, N); ++image) {
        for (int64_t i = 0; i < 12; ++i) {
            float *to = window + (i + 1) * 42;
            memset(to, 0, 3 * sizeof *to);
            memcpy(to + 3, x + (image * 12 + i) * 36, 36 * sizeof *to);
            memset(to + 39, 0, 3 * sizeof *to);
        }
        const float *base = window;
        const float *right = w;
        for (int64_t down = 0; down < 6; ++down) {
            for (int64_t i = 0; i < 2; ++i) {
                const int64_t h = down * 2 + i;
                // taps above and below the picture would only add zeros
                const int64_t first_tap = tg_larger(1 - h, 0), end_tap = tg_smaller(13 - h, 3);
                const float *left = base + (h + first_tap) * 42;
                float *sums = lines + i * 192;
                for (int64_t tap = first_tap; tap < end_tap; ++tap) {
                    const float *inputs = left + (tap - first_tap) * 42, *filters = right + tap * 144;
                    tg_thin_f32_5x16_stride3(inputs, filters, 16, sums, 16, 12, tap > first_tap);
                    tg_thin_f32_4x16_stride3(inputs + 5, filters + 80, 16, sums, 16, 12, true);
                }
            }
            for (int64_t across = 0; across < 6; ++across) {
                const float *corner = lines + across * 32;
                const int64_t out = ((image * 6 + down) * 6 + across) * 16;
                float values[64];
                #pragma GCC unroll 2
                for (int64_t i = 0; i < 2; ++i)
                    #pragma GCC unroll 2
                    for (int64_t j = 0; j < 2; ++j) {
                        #pragma GCC ivdep
                        #pragma GCC unroll 1
                        for (int64_t c = 0; c < 16; ++c) {
                            const int64_t column = c;
                            const float acc = corner[i * 192 + j * 16 + c];
                            const float add = acc + bias[column]; /* BiasAdd: Add */
                            const float activation = tg_max_f32(add, 0.0f); /* activation */
                            values[(i * 2 + j) * 16 + c] = activation;
                        }
                    }
                float maxima[16];
                uint32_t unordered = 0;  // not 0: there may be a NaN, which is larger than every number
                #pragma GCC ivdep
                #pragma GCC unroll 1
                for (int64_t c = 0; c < 16; ++c) {
                    float best = values[c];
                    float total = best;
                    #pragma GCC unroll 4
                    for (int64_t tap = 1; tap < 4; ++tap) {
                        const float value = values[tap * 16 + c];
                        const bool larger = value > best;
                        best = larger ? value : best;
                        total += value;
                    }
                    maxima[c] = best;
                    unordered |= total != total;
                }
                if (unordered)
                    tg_maxima_f32(values, 4, 16, 16, maxima, NULL);
                tg_store_f32x8(y + out, maxima, 16, past);
            }
        }
    }
    if (past)
        tg_stores_done();
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_conv2d_add_relu_maxpool},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        (N + 7) / 8,
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
