/*
 * conv -> BiasAdd -> activation -> pool
 * conv2d, float32 [N, 12, 12, 16]
 */
static void k00_conv2d_add_relu_maxpoolwithposition(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    const float *restrict w = (const float *)(s->variables[0]);
    float *restrict y = (float *)(s->batch + 0 * N);
    uint8_t *restrict position = (uint8_t *)(s->batch + 4608 * N);
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
                    uint32_t places[16];
                    float maxima[16];
                    if (minds_nans)
                        tg_maxima_f32(values, 4, 16, 16, maxima, places);
                    else {
                        #pragma GCC ivdep
                        #pragma GCC unroll 1
                        for (int64_t c = 0; c < 16; ++c) {
                            float best = values[c];
                            float total = best;
                            uint32_t place = 0;
                            #pragma GCC unroll 4
                            for (int64_t tap = 1; tap < 4; ++tap) {
                                const float value = values[tap * 16 + c];
                                const bool larger = value > best;
                                best = larger ? value : best;
                                place = larger ? (uint32_t)(tap) : place;
                                total += value;
                            }
                            maxima[c] = best;
                            places[c] = place;
                            check[c] += total;
                        }
                    }
                    tg_store_f32x8(y + out, maxima, 16, past);
                    for (int64_t c = 0; c < 16; ++c)
                        position[out + c] = (uint8_t)places[c];
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

/*
 * gradients/activation_grad/ReluGrad
 * pointwise, float32 [N, 6, 6, 16]
 */
static void k01_relugrad(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict maxpoolwithposition = (const float *)(s->batch + 0 * N);
    float *restrict relugrad_out = (float *)(s->batch + 2304 * N);
    const int64_t last = tg_least((chunk + 1) * 16384, 576 * N);
    for (int64_t i = chunk * 16384; i < last; ++i) {
        const float maxpoolwithposition_1 = maxpoolwithposition[i]; /* gradients/activation_grad/ReluGrad */
        const float relugrad = maxpoolwithposition[i] > 0.0f ? maxpoolwithposition_1 : 0.0f; /* gradients/activation_grad/ReluGrad */
        relugrad_out[i] = relugrad;
    }
}

/*
 * gradients/conv_grad/Conv2DBackpropInput
 * conv2d_backprop_input_at, float32 [N, 12, 12, 3]
 */
static void k02_conv2d_backprop_input_at(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict w = (const float *)(s->variables[0]);
    const uint8_t *restrict position = (const uint8_t *)(s->batch + 4608 * N);
    const float *restrict dy = (const float *)(s->batch + 2304 * N);
    float *restrict dx = (float *)(s->fetches[0]);
    _Alignas(64) float window[3136];
    for (int64_t image = chunk * 8; image < tg_smaller((chunk + 1) * 8, N); ++image) {
        for (int64_t i = 0; i < 12; ++i) {
            float *to = window + (i + 1) * 224;
            memset(to, 0, 16 * sizeof *to);
            memset(to + 208, 0, 16 * sizeof *to);
        }
        tg_spread_f32x16_12x12x16_2x2_2x2_0x0_6x6_0_12(position + image * 576, dy + image * 576, 0, 12, window + 240, 224);
        const float *base = window;
        for (int64_t h = 0; h < 12; ++h) {
            // taps above and below the picture would only add zeros
            const int64_t first_tap = tg_larger(1 - h, 0), end_tap = tg_smaller(13 - h, 3);
            const float *left = base + (h + first_tap) * 224;
            for (int64_t pixel = 0; pixel < 12; pixel += 3) {
                float sums[9];
                tg_narrow_f32_3x3x16_step16(left + pixel * 16, 224, 16,
                    w + first_tap * -144 + 384, -144, -48, end_tap - first_tap, 3, sums);
                for (int64_t r = 0; r < 3; ++r) {
                    const int64_t row = (image * 12 + h) * 12 + (pixel + r);
                    const float *sum = sums + r * 3;
                    #pragma GCC ivdep
                    for (int64_t column = 0; column < 3; ++column) {
                        const float acc = sum[column];
                        dx[row * 3 + column] = acc;
                    }
                }
            }
        }
    }
}

/*
 * gradients/conv_grad/Conv2DBackpropFilter
 * conv2d_backprop_filter_at, float32 [3, 3, 3, 16]
 */
static void k03_conv2d_backprop_filter_at(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    const uint8_t *restrict position = (const uint8_t *)(s->batch + 4608 * N);
    const float *restrict dy = (const float *)(s->batch + 2304 * N);
    char *restrict scratch = s->fixed + 0;
    const int64_t share = chunk;
    float *sums = (float *)scratch + share * 432;
    memset(sums, 0, 432 * sizeof *sums);
    float window[588];
    float packed[2304];

    for (int64_t block = N * share / 7; block < N * (share + 1) / 7; ++block) {
        const int64_t image = block;
        for (int64_t i = 0; i < 12; ++i) {
            float *to = window + (i + 1) * 42;
            memset(to, 0, 3 * sizeof *to);
            memcpy(to + 3, x + (image * 12 + i) * 36, 36 * sizeof *to);
            memset(to + 39, 0, 3 * sizeof *to);
        }
        const float *base = window;
        const float *right = packed;
        tg_spread_f32x16_12x12x16_2x2_2x2_0x0_6x6_0_12(position + image * 576, dy + image * 576, 0, 12, packed, 192);
        for (int64_t i = 0; i < 3; ++i) {
            // only output rows whose tap falls inside the picture
            const int64_t begin = tg_larger(1 - i, 0), end = tg_smaller(13 - i, 12);
            const float *left = base + (begin + i) * 42;
            float *tap_sums = sums + i * 144;
            for (int64_t m = 0; m < 5; m += 5)
                tg_tile_f32_5x16_stride1(left + m, 3, 42, right + begin * 192, 16, 192,
                    end - begin, 12, tap_sums + m * 16, 16, true);
            tg_tile_f32_4x16_stride1(left + 5, 3, 42, right + begin * 192, 16, 192,
                end - begin, 12, tap_sums + 80, 16, true);
        }
    }
}

/* Adds the 7 shares of each sum, always in the same order. */
static void k03_conv2d_backprop_filter_at_total(const tg_step *s, int64_t chunk)
{
    (void)chunk;  // there is one only
    float *restrict dw = (float *)(s->fetches[1]);
    char *restrict scratch = s->fixed + 0;
    const float *sums = (const float *)scratch;
    for (int64_t row = 0; row < 27; ++row)
        for (int64_t panel = 0; panel < 16; panel += 16) {
            float sum[16] = {0};
            for (int64_t share = 0; share < 7; ++share)
                for (int64_t c = 0; c < 16; ++c)
                    sum[c] += sums[share * 432 + row * 16 + panel + c];
            #pragma GCC ivdep
            for (int64_t c = 0; c < 16; ++c) {
                const int64_t column = panel + c;
                const float acc = sum[c];
                dw[row * 16 + column] = acc;
            }
        }
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_conv2d_add_relu_maxpoolwithposition},
    {1, 1, k01_relugrad},
    {2, 2, k02_conv2d_backprop_input_at},
    {3, 3, k03_conv2d_backprop_filter_at},
    {3, 3, k03_conv2d_backprop_filter_at_total},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        (N + 7) / 8,
        tg_chunks(576 * N, 16384),
        (N + 7) / 8,
        7,
        1,
    };
    int64_t next = first;                          /* kernels before it are done: they were run together */
    (void)N;
    s->failed = 0;
    for (int64_t i = 0; i < 5 && !s->failed; ++i) {
        const bool joined = tg_launches[i].first < tg_launches[i].last;
        if (tg_launches[i].first < (joined ? first : next) || tg_launches[i].last >= last)
            continue;
        tg_launch(s, tg_launches[i].function, chunks[i]);
        if (joined)
            next = tg_launches[i].last + 1;
    }
    return s->failed;
}
