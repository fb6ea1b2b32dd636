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
    const bool past = N * 2304 > 25165824 && (uintptr_t)y % 32 == 0;
    for (int64_t image = chunk * 8; image < tg_smaller((chunk + 1) * 8, N); ++image) {
        for (int64_t i = -1; i < 13; ++i) {
            float *to = window + (i + 1) * 42;
            if (i < 0 || i >= 12) {
                memset(to, 0, 42 * sizeof *to);
                continue;
            }
            memset(to, 0, 3 * sizeof *to);
            memcpy(to + 3, x + (image * 12 + i) * 36, 36 * sizeof *to);
            memset(to + 39, 0, 3 * sizeof *to);
        }
        const float *base = window;
        const float *right = w;
        static const int place[27] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 42, 43, 44, 45, 46, 47, 48, 49, 50, 84, 85, 86, 87, 88, 89, 90, 91, 92 };  // of the taps, from a pixel's first
        static const int pixel[4] = { 0, 3, 42, 45 };  // of a window, from its first
        for (int64_t down = 0; down < 6; ++down) {
            const float *left = base + down * 84;
            tg_f32x8 filter[27][2];
            #pragma GCC unroll 27
            for (int i = 0; i < 27; ++i)
                #pragma GCC unroll 2
                for (int v = 0; v < 2; ++v)
                    filter[i][v] = *(const tg_f32x8 *)(right + i * 16 + v * 8);
            for (bool minds_nans = false;; minds_nans = true) {
                float check[16] = {0};  // of the row's elements: no numbers if there is a NaN among them
                for (int64_t across = 0; across < 6; ++across) {
                    tg_f32x8 sum[4][2] = {{{0}}};
                    #pragma GCC unroll 27
                    for (int i = 0; i < 27; ++i)
                        #pragma GCC unroll 4
                        for (int p = 0; p < 4; ++p) {
                            const float value = left[across * 6 + pixel[p] + place[i]];
                            #pragma GCC unroll 2
                            for (int v = 0; v < 2; ++v)
                                sum[p][v] += value * filter[i][v];
                        }
                    float corner[64];
                    #pragma GCC unroll 4
                    for (int p = 0; p < 4; ++p)
                        #pragma GCC unroll 2
                        for (int v = 0; v < 2; ++v)
                            *(tg_f32x8 *)(corner + p * 16 + v * 8) = sum[p][v];
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
                                const float acc = corner[i * 32 + j * 16 + c];
                                const float add = acc + bias[column]; /* BiasAdd: Add */
                                const float activation = tg_max_f32(add, 0.0f); /* activation */
                                values[(i * 2 + j) * 16 + c] = activation;
                            }
                        }
                    float maxima[16];
                    if (minds_nans)
                        tg_maxima_f32(values, 4, 16, 16, maxima, NULL);
                    else {
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
                            check[c] += total;
                        }
                    }
                    tg_store_f32x8(y + out, maxima, 16, past);
                }
                float all = 0;
                for (int64_t c = 0; c < 16; ++c)
                    all += check[c];
                if (minds_nans || all == all)
                    break;
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
