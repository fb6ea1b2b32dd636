/* Reports a failed check; of several, the one with the lowest number counts, whichever thread comes first. */
static __device__ __forceinline__ void tg_fail(const tg_step &s, int64_t which)
{
    atomicMin(s.failed, (unsigned long long)which);
}

/* The bits of a float32, and back. */
static __device__ __forceinline__ uint32_t tg_bits_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static __device__ __forceinline__ float tg_from_bits_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^n for -126 <= n <= 127. */
static __device__ __forceinline__ float tg_two_power_f32(int32_t n)
{
    return tg_from_bits_f32((uint32_t)(n + 127) << 23);
}

/* max: NaN if either is NaN, as TensorFlow's Maximum; of two zeros the second. */
static __device__ __forceinline__ float tg_max_f32(float x, float y)
{
    return ((x <= y) | (y != y)) ? y : x;
}

/* x = n log(2) + r with |r| <= log(2)/2, for |x| < 2^15. */
typedef struct {
    float r;
    int32_t n;
} tg_exp_reduced_f32;

static __device__ __forceinline__ tg_exp_reduced_f32 tg_exp_reduce_f32(float x)
{
    const float round = 12582912.0f;               /* 1.5 * 2^23: the sum's last bit counts ones */
    const float log2_high = 0.693145752f;          /* 15 bits, so that n * log2_high is exact */
    const float log2_low = 1.42860682e-6f;
    float shifted = x * 1.44269504f + round;
    float n = shifted - round;
    tg_exp_reduced_f32 reduced;
    reduced.r = x - n * log2_high - n * log2_low;
    reduced.n = (int32_t)(tg_bits_f32(shifted) - tg_bits_f32(round));
    return reduced;
}

/* exp: x = n log(2) + r, polynomial in r, scaling in two steps that reach the denormals; 0.81 ulp. */
static __device__ __forceinline__ float tg_exp_f32(float x)
{
    x = x > 89.0f ? 89.0f : x;                     /* both bounds are beyond overflow and underflow */
    x = x < -104.0f ? -104.0f : x;
    tg_exp_reduced_f32 reduced = tg_exp_reduce_f32(x);
    float r = reduced.r;
    float square = r * r;
    float odd = (0.00019948429f * square + 0.008333203f) * square + 0.16666667f;
    float even = (0.0013935086f * square + 0.041666463f) * square + 0.5f;
    float sum = 1.0f + r;
    float y = sum + ((odd * r + even) * square + (r - (sum - 1.0f)));
    int32_t half = reduced.n >> 1;
    return y * tg_two_power_f32(half) * tg_two_power_f32(reduced.n - half);
}

/* x = 2^n (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), for positive normal x. */
typedef struct {
    float f;
    int32_t n;
} tg_log_reduced_f32;

static __device__ __forceinline__ tg_log_reduced_f32 tg_log_reduce_f32(float x)
{
    uint32_t bits = tg_bits_f32(x);
    tg_log_reduced_f32 reduced;
    reduced.n = (int32_t)(bits - 0x3f3504f3u) >> 23;        /* 0x3f3504f3: the bits of sqrt(1/2) */
    reduced.f = tg_from_bits_f32(bits - ((uint32_t)reduced.n << 23)) - 1.0f;
    return reduced;
}

/* n log(2) + log(1 + f), summed from the smallest term up. */
static __device__ __forceinline__ float tg_log_sum_f32(float n, float f)
{
    float square = f * f;
    float odd = -0.11789341f * square - 0.12385062f;
    odd = odd * square - 0.1666918f;
    odd = odd * square - 0.24999988f;
    float even = 0.06894787f * square + 0.11881234f;
    even = even * square + 0.14217816f;
    even = even * square + 0.2000225f;
    even = even * square + 0.3333331f;
    float p = odd * f + even;
    float low = p * (square * f) + n * 1.42860682e-6f;
    low = low - 0.5f * square;
    return n * 0.693145752f + (f + low);
}

/* log: x = 2^n (1 + f), polynomial in f; 0.83 ulp. */
static __device__ __forceinline__ float tg_log_f32(float x)
{
    int denormal = x < 0x1p-126f;
    tg_log_reduced_f32 reduced = tg_log_reduce_f32(denormal ? x * 0x1p23f : x);
    float y = tg_log_sum_f32((float)(denormal ? reduced.n - 23 : reduced.n), reduced.f);
    y = x < INFINITY ? y : x;              /* infinity and NaN */
    y = x < 0.0f ? nanf("") : y;
    return x == 0.0f ? -INFINITY : y;
}

/* max over the 16 threads of a team, in an order that depends on nothing; all of them get the result. */
static __device__ __forceinline__ float tg_join_max_float_16(float value)
{
    const unsigned mask = 0xffffu << (threadIdx.x % 32 / 16 * 16);
    for (int distance = 8; distance > 0; distance /= 2) {
        const float other = (float)__shfl_xor_sync(mask, (float)value, distance);
        value = tg_max_f32(value, other);
    }
    return (float)__shfl_sync(mask, (float)value, 0, 16);
}

/* sum over the 16 threads of a team, in an order that depends on nothing; all of them get the result. */
static __device__ __forceinline__ float tg_join_sum_float_16(float value)
{
    const unsigned mask = 0xffffu << (threadIdx.x % 32 / 16 * 16);
    for (int distance = 8; distance > 0; distance /= 2) {
        const float other = (float)__shfl_xor_sync(mask, (float)value, distance);
        value += other;
    }
    return (float)__shfl_sync(mask, (float)value, 0, 16);
}

/* k00_rows_sub_exp_sum, first launch: one part of the rows, and what it adds to the results of all rows. */
extern "C" __global__ void k00_rows_sub_exp_sum_parts(const tg_step s)
{
    const int64_t N = s.N;
    const unsigned block = blockIdx.x;
    const int64_t team = (int64_t)block * 16 + threadIdx.x / 16;
    const int lane = threadIdx.x % 16;
    const int64_t chunk = team;
    if (chunk >= tg_parts(N, 1, 64))
        return;
    const float *__restrict__ logits = (const float *)(s.feeds[0]);
    const float *__restrict__ labels = (const float *)(s.feeds[1]);
    float *__restrict__ mul_out = (float *)(s.fetches[1]);
    float *__restrict__ sum_total_parts = (float *)(s.fixed + 0);
    const float realdiv = 1.0f / (float)(N); /* gradients/loss_grad/RealDiv */
    __shared__ float sub_row_of_team[16][10];
    float *const sub_row = sub_row_of_team[threadIdx.x / 16];
    __shared__ float exp_row_of_team[16][10];
    float *const exp_row = exp_row_of_team[threadIdx.x / 16];
    const int64_t size = tg_chunks(N, tg_parts(N, 1, 64));
    const int64_t to = tg_least((chunk + 1) * size, N);
    float sum_total = 0.0f;
    for (int64_t i = chunk * size; i < to; ++i) {
        float max = -INFINITY;
        for (int64_t j = lane; j < 10; j += 16) {
            max = tg_max_f32(max, logits[i * 10 + j]);
        }
        max = tg_join_max_float_16(max);
        float sum = 0.0f;
        for (int64_t j = lane; j < 10; j += 16) {
            const float sub = logits[i * 10 + j] - max; /* softmax_cross_entropy_with_logits_sg: Sub */
            sub_row[j] = sub;
            const float exp = tg_exp_f32(sub); /* softmax_cross_entropy_with_logits_sg: Exp */
            exp_row[j] = exp;
            sum += exp;
        }
        sum = tg_join_sum_float_16(sum);
        const float log = tg_log_f32(sum); /* softmax_cross_entropy_with_logits_sg: Log */
        float sum_1 = 0.0f;
        for (int64_t j = lane; j < 10; j += 16) {
            const float sub_1 = log - sub_row[j]; /* softmax_cross_entropy_with_logits_sg: Sub */
            const float mul = labels[i * 10 + j] * sub_1; /* softmax_cross_entropy_with_logits_sg: Mul */
            sum_1 += mul;
            const float realdiv_1 = exp_row[j] / sum; /* softmax_cross_entropy_with_logits_sg: RealDiv */
            const float sub_2 = realdiv_1 - labels[i * 10 + j]; /* softmax_cross_entropy_with_logits_sg: Sub */
            const float mul_1 = realdiv * sub_2; /* gradients/softmax_cross_entropy_with_logits_sg_grad/mul */
            mul_out[i * 10 + j] = mul_1;
        }
        sum_1 = tg_join_sum_float_16(sum_1);
        sum_total += sum_1;
    }
    if (lane == 0)
        sum_total_parts[chunk] = sum_total;
}

/*
 * softmax_cross_entropy_with_logits_sg -> loss -> gradients/loss_grad/RealDiv -> gradients/softmax_cross_entropy
 * _with_logits_sg_grad/mul
 * rows, float32 [N, 10]
 */
extern "C" __global__ void k00_rows_sub_exp_sum(const tg_step s)
{
    const int64_t N = s.N;
    const unsigned block = blockIdx.x;
    const int64_t team = (int64_t)block * 256 + threadIdx.x;
    float *__restrict__ realdiv_out = (float *)(s.fetches[0]);
    float *__restrict__ sum_total_parts = (float *)(s.fixed + 0);
    const int64_t parts = tg_parts(N, 1, 64);
    float sum_2 = 0.0f;
    for (int64_t part = 0; part < parts; ++part) {
        sum_2 += sum_total_parts[part];
    }
    const float realdiv_2 = sum_2 / (float)(N); /* loss: RealDiv */
    if (team == 0)
        realdiv_out[0] = realdiv_2;
}

