/*
 * conv -> BiasAdd -> activation
 * conv2d, float32 [N, 12, 12, 16]
 */
static void k00_conv2d_add_relu(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->feeds[0]);
    const float *restrict w = (const float *)(s->variables[0]);
    const float *restrict bias = (const float *)(s->variables[1]);
    float *restrict activation_out = (float *)(s->batch + 0 * N);
    float window[588];
    for (int64_t image = chunk * 8; image < tg_smaller((chunk + 1) * 8, N); ++image) {
        for (int64_t i = 0; i < 12; ++i) {
            float *to = window + (i + 1) * 42;
            memset(to, 0, 3 * sizeof *to);
            memcpy(to + 3, x + (image * 12 + i) * 36, 36 * sizeof *to);
            memset(to + 39, 0, 3 * sizeof *to);
        }
        const float *base = window;
        const float *right = w;
        for (int64_t h = 0; h < 12; ++h) {
            // taps above and below the picture would only add zeros
            const int64_t first_tap = tg_larger(1 - h, 0), end_tap = tg_smaller(13 - h, 3);
            const float *left = base + (h + first_tap) * 42;
            for (int64_t pixel = 0; pixel < 12; pixel += 6) {
                float sums[96];
                tg_tile_f32_6x16_stride3(left + pixel * 3, 1, 42,
                    right + first_tap * 144, 16, 144,
                    end_tap - first_tap, 9, sums, 16, false);
                for (int64_t r = 0; r < 6; ++r) {
                    const int64_t row = (image * 12 + h) * 12 + (pixel + r);
                    const float *sum = sums + r * 16;
                    #pragma GCC ivdep
                    for (int64_t column = 0; column < 16; ++column) {
                        const float acc = sum[column];
                        const float add = acc + bias[column]; /* BiasAdd: Add */
                        const float activation = tg_max_f32(add, 0.0f); /* activation */
                        activation_out[row * 16 + column] = activation;
                    }
                }
            }
        }
    }
}

/*
 * pool
 * max_pool, float32 [N, 6, 6, 16]
 */
static void k01_max_pool(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict x = (const float *)(s->batch + 0 * N);
    float *restrict y = (float *)(s->fetches[0]);
    for (int64_t image = chunk * 14; image < tg_smaller((chunk + 1) * 14, N); ++image) {
        for (int64_t h = 0; h < 6; ++h) {
            for (int64_t q = 0; q < 6; ++q) {
                const int64_t first = ((image * 12 + h * 2) * 12 + q * 2) * 16;
                const int64_t out = ((image * 6 + h) * 6 + q) * 16;
                #pragma GCC ivdep
                for (int64_t c = 0; c < 16; ++c) {
                    float state = x[first + c];
                    #pragma GCC unroll 2
                    for (int64_t i = 0; i < 2; ++i)
                        #pragma GCC unroll 2
                        for (int64_t j = 0; j < 2; ++j) {
                            const int64_t at = first + (i * 12 + j) * 16;
                            const float value = x[at + c];
                            state = value > state || value != value ? value : state;
                        }
                    y[out + c] = state;
                }
            }
        }
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
    TG_KERNEL(0, k00_conv2d_add_relu, (N + 7) / 8)
    TG_KERNEL(1, k01_max_pool, (N + 13) / 14)
    return s->failed;
}
