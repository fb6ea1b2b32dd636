/* Reports a failed check; of several, the one with the lowest number counts, whichever thread comes first. */
static __device__ __forceinline__ void tg_fail(const tg_step &s, int64_t which)
{
    atomicMin(s.failed, (unsigned long long)which);
}

/* Philox 4x32-10: a keyed bijection from counters to four random words. The 128-bit counter is seed2 above `counter`. */
typedef struct {
    uint64_t seed, seed2;
} tg_seeds;

typedef struct {
    uint32_t a, b, c, d;
} tg_words;

static __device__ __forceinline__ tg_words tg_philox(tg_seeds key, uint64_t counter)
{
    uint32_t a = (uint32_t)counter, b = (uint32_t)(counter >> 32);
    uint32_t c = (uint32_t)key.seed2, d = (uint32_t)(key.seed2 >> 32);
    for (uint32_t round = 0; round < 10; round++) {
        const uint64_t first = (uint64_t)a * 0xD2511F53u, second = (uint64_t)c * 0xCD9E8D57u;
        a = (uint32_t)(second >> 32) ^ b ^ ((uint32_t)key.seed + round * 0x9E3779B9u);
        b = (uint32_t)second;
        c = (uint32_t)(first >> 32) ^ d ^ ((uint32_t)(key.seed >> 32) + round * 0xBB67AE85u);
        d = (uint32_t)first;
    }
    return tg_words{a, b, c, d};
}

/* Word number `at` of four. */
static __device__ __forceinline__ uint32_t tg_word(tg_words words, uint64_t at)
{
    const uint32_t low = at & 1 ? words.b : words.a, high = at & 1 ? words.d : words.c;
    return at & 2 ? high : low;
}

/* [0, 1): the low 23 bits of a word become the fraction of a number in [1, 2). */
static __device__ __forceinline__ float tg_unit_f32(uint32_t word)
{
    const uint32_t bits = (word & 0x7FFFFFu) | 0x3F800000u;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value - 1.0f;
}

/* [0, 1): the low 20 bits of one word and all of the next become the fraction of a number in [1, 2). */
static __device__ __forceinline__ double tg_unit_f64(uint32_t high, uint32_t low)
{
    const uint64_t bits = (uint64_t)(high & 0xFFFFFu) << 32 | low | 0x3FF0000000000000ull;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value - 1.0;
}

static __device__ __forceinline__ float tg_uniform_f32_at(tg_seeds key, uint64_t counter, uint64_t i)
{
    const tg_words words = tg_philox(key, counter + i / 4);
    return tg_unit_f32(tg_word(words, i % 4));
}

/*
 * dropout/Mul -> dropout/random_uniform/RandomUniform -> dropout/GreaterEqual -> dropout/SelectV2
 * pointwise, float32 [N, 64]
 */
extern "C" __global__ void k00_mul_randomuniform_greaterequal_selectv2(const tg_step s)
{
    const int64_t N = s.N;
    const unsigned block = blockIdx.x;
    const unsigned blocks = gridDim.x;
    const int64_t team = (int64_t)block * 256 + threadIdx.x;
    const int64_t teams = (int64_t)blocks * 256;
    const float *__restrict__ x = (const float *)(s.feeds[0]);
    const float *__restrict__ const_ = (const float *)(s.constants[0]);
    const float *__restrict__ greaterequal_y = (const float *)(s.constants[1]);
    float *__restrict__ selectv2_out = (float *)(s.fetches[0]);
    const tg_seeds key = {s.random[0], s.random[1]};
    const float const__1 = const_[0];
    const float greaterequal_y_1 = greaterequal_y[0];
    for (int64_t i = team; i < 64 * N; i += teams) {
        const float mul = x[i] * const__1; /* dropout/Mul */
        const bool greaterequal = tg_uniform_f32_at(key, s.random[2], (uint64_t)i) >= greaterequal_y_1; /* dropout/GreaterEqual */
        const float selectv2 = greaterequal ? mul : 0.0f; /* dropout/SelectV2 */
        selectv2_out[i] = selectv2;
    }
}

