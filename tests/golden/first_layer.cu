/* Reports a failed check; of several, the one with the lowest number counts, whichever thread comes first. */
static __device__ __forceinline__ void tg_fail(const tg_step &s, int64_t which)
{
    atomicMin(s.failed, (unsigned long long)which);
}

/* max: NaN if either is NaN, as TensorFlow's Maximum; of two zeros the second. */
static __device__ __forceinline__ float tg_max_f32(float x, float y)
{
    return ((x <= y) | (y != y)) ? y : x;
}

/*
 * Copies from memory to shared memory that go on while their thread works. Those before a tg_copies_end are a group; groups
 * arrive in order. Their bytes are there for a thread once it has waited, for others after the next barrier. Before compute
 * capability 8.0 a copy is over when it returns.
 */
template <int bytes> struct alignas(bytes) tg_copied {
    char all[bytes];
};

/* Copies `bytes`, 4, 8 or 16, to shared memory, both addresses multiples of them; zeros, and nothing is read, if not `inside`. */
template <int bytes> static __device__ __forceinline__ void tg_copy(void *to, const void *from, bool inside)
{
#if defined(TG_SHIM)
    tg_shim_copy(to, from, bytes, inside);
#elif __CUDA_ARCH__ >= 800
    const unsigned place = (unsigned)__cvta_generic_to_shared(to);
    const int read = inside ? bytes : 0;
    if (bytes == 16) /* past the first-level cache */
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(place), "l"(from), "r"(read));
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" : : "r"(place), "l"(from), "n"(bytes), "r"(read));
#else
    *(tg_copied<bytes> *)to = inside ? *(const tg_copied<bytes> *)from : tg_copied<bytes>{};
#endif
}

/* The copies that this thread has begun, and that are in no group, are one. */
static __device__ __forceinline__ void tg_copies_end()
{
#if defined(TG_SHIM)
    tg_shim_copies_end();
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;");
#endif
}

/* Waits for this thread's groups but the last `most`. */
template <int most> static __device__ __forceinline__ void tg_copies_wait()
{
#if defined(TG_SHIM)
    tg_shim_copies_wait(most);
#elif __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" : : "n"(most) : "memory");
#endif
}

/*
 * Conv2D -> BiasAdd -> Relu -> gradients/Relu_grad/ReluGrad
 * conv2d, float32 [N, 9, 10, 8]
 */
extern "C" __global__ void __launch_bounds__(256, 2) k00_conv2d_add_relu_relugrad(const tg_step s)
{
    const int64_t N = s.N;
    const float *__restrict__ x = (const float *)(s.feeds[0]);
    const float *__restrict__ w = (const float *)(s.variables[0]);
    const float *__restrict__ b_1 = (const float *)(s.variables[1]);
    float *__restrict__ relu_out = (float *)(s.fetches[0]);
    float *__restrict__ relugrad_out = (float *)(s.batch + 0 * N);
    __shared__ __align__(16) float patch[8][20], filter[27][8];
    const int thread = threadIdx.x, lane = thread % 8, group = thread / 8;
    const int64_t image = blockIdx.x / 6;
    const int tile = blockIdx.x % 6, c = lane;
    const int first_h = tile / 3 * 6, first_q = tile % 3 * 4;
    if (image >= N)
        return;
    const float *const picture = x + image * 270;
    for (int i = thread; i < 144; i += 256) {
        const int patch_row = i / 18, place = i % 18;
        const int in_row = first_h + patch_row - 1, in_column = first_q + place / 3 - 1;
        const bool inside = 0 <= in_row && in_row < 9 && 0 <= in_column && in_column < 10;
        tg_copy<4>(&patch[patch_row][place], inside ? picture + (in_row * 10 + in_column) * 3 + place % 3 : picture, inside);
    }
    for (int i = group; i < 27; i += 32)
        tg_copy<4>(&filter[i][lane], w + i * 8 + c, true);
    tg_copies_end();
    tg_copies_wait<0>();
    __syncthreads();

    for (int strip = group; strip < 3; strip += 32) {
        const int h = strip * 2, q = 0;
        float total[2][4] = {};
        #pragma unroll
        for (int tap_row = 0; tap_row < 3; ++tap_row) {
            float taps[9];
            #pragma unroll
            for (int i = 0; i < 9; ++i)
                taps[i] = filter[tap_row * 9 + i][lane];
            #pragma unroll
            for (int r = 0; r < 2; ++r) {
                __align__(16) float seen[20];
                #pragma unroll
                for (int i = 0; i < 20; i += 4)
                    *(float4 *)&seen[i] = *(const float4 *)&patch[h + r + tap_row][q * 3 + i];
                #pragma unroll
                for (int i = 0; i < 9; ++i)
                    #pragma unroll
                    for (int j = 0; j < 4; ++j)
                        total[r][j] += seen[j * 3 + i] * taps[i];
            }
        }
        #pragma unroll
        for (int r = 0; r < 2; ++r)
            #pragma unroll
            for (int j = 0; j < 4; ++j) {
                const int out_row = first_h + h + r, out_column = first_q + q + j;
                if (out_row >= 9 || out_column >= 10)
                    continue;
                const int64_t row = (image * 9 + out_row) * 10 + out_column, column = c;
                const float acc = total[r][j];
                const float add = acc + b_1[column]; /* BiasAdd: Add */
                const float relu = tg_max_f32(add, 0.0f); /* Relu */
                relu_out[row * 8 + column] = relu;
                const float relugrad = relu > 0.0f ? 1.0f : 0.0f; /* gradients/Relu_grad/ReluGrad */
                relugrad_out[row * 8 + column] = relugrad;
            }
    }
}

/*
 * gradients/BiasAdd_grad/BiasAddGrad -> gradients/Conv2D_grad/Conv2DBackpropFilter
 * conv2d_backprop_filter, float32 [3, 3, 3, 8]
 */
extern "C" __global__ void __launch_bounds__(256, 2) k01_conv2d_backprop_filter_sum(const tg_step s)
{
    const int64_t N = s.N;
    const float *__restrict__ x = (const float *)(s.feeds[0]);
    const float *__restrict__ dy = (const float *)(s.batch + 0 * N);
    char *__restrict__ scratch = s.fixed + 0;
    __shared__ __align__(16) float memory[2304];
    float (*const patch)[20] = (float (*)[20])memory;
    const int thread = threadIdx.x, lane = thread % 8, group = thread / 8;
    const int c = lane, tiles = N * 6;
    float total[3][9] = {};
    float column_total = 0.0f;
    for (int part = blockIdx.x; part < tiles; part += gridDim.x) {
        const int64_t image = part / 6;
        const int tile = part % 6;
        const int first_h = tile / 3 * 5, first_q = tile % 3 * 4;
        const float *const picture = x + image * 270;
        const float *const gradient = dy + (image * 9 + first_h) * 80 + first_q * 8 + c;
        __syncthreads(); // all have done with the patch before
        for (int i = thread; i < 126; i += 256) {
            const int patch_row = i / 18, place = i % 18;
            const int in_row = first_h + patch_row - 1, in_column = first_q + place / 3 - 1;
            const bool inside = 0 <= in_row && in_row < 9 && 0 <= in_column && in_column < 10;
            tg_copy<4>(&patch[patch_row][place], inside ? picture + (in_row * 10 + in_column) * 3 + place % 3 : picture, inside);
        }
        tg_copies_end();
        tg_copies_wait<0>();
        __syncthreads();
        for (int strip = group; strip < 5; strip += 32) {
            const int h = strip, q = 0;
            const int count = first_h + h < 9 ? 10 - first_q - q : 0; // pixels from here to the end of the row
            float given[4];
            #pragma unroll
            for (int j = 0; j < 4; ++j)
                given[j] = j < count ? gradient[(h * 10 + q + j) * 8] : 0.0f;
            if (count <= 0)
                continue;
            #pragma unroll
            for (int j = 0; j < 4; ++j)
                column_total += given[j];
            #pragma unroll
            for (int tap_row = 0; tap_row < 3; ++tap_row) {
                __align__(16) float seen[20];
                #pragma unroll
                for (int i = 0; i < 20; i += 4)
                    *(float4 *)&seen[i] = *(const float4 *)&patch[h + tap_row][q * 3 + i];
                #pragma unroll
                for (int j = 0; j < 4; ++j) {
                    if (j >= count) // pixels behind the last one see what no output does
                        break;
                    #pragma unroll
                    for (int i = 0; i < 9; ++i)
                        total[tap_row][i] += seen[j * 3 + i] * given[j];
                }
            }
        }
    }

    // the sums of all groups, one row of taps at a time, in the memory that the patch had
    float (*const parts)[9][8] = (float (*)[9][8])memory;
    float *const share = (float *)scratch + (int64_t)blockIdx.x * 224 + c;
    #pragma unroll
    for (int tap_row = 0; tap_row < 3; ++tap_row) {
        __syncthreads();
        #pragma unroll
        for (int i = 0; i < 9; ++i)
            parts[group][i][lane] = total[tap_row][i];
        __syncthreads();
        for (int i = group; i < 9; i += 32) {
            float sum = parts[0][i][lane];
            for (int j = 1; j < 32; ++j)
                sum += parts[j][i][lane];
            share[(tap_row * 9 + i) * 8] = sum;
        }
    }
    __syncthreads();
    parts[group][0][lane] = column_total;
    __syncthreads();
    if (group == 0) {
        float sum = column_total;
        for (int j = 1; j < 32; ++j)
            sum += parts[j][0][lane];
        share[216] = sum;
    }
}
/* Adds the blocks' shares of each sum: 32 threads take turns at them, then one adds what these have. */
extern "C" __global__ void __launch_bounds__(256) k01_conv2d_backprop_filter_sum_total(const tg_step s)
{
    const int64_t N = s.N;
    float *__restrict__ dw = (float *)(s.fetches[1]);
    char *__restrict__ scratch = s.fixed + 0;
    float *__restrict__ sum_out = (float *)(s.fetches[2]);
    __shared__ float parts[32][8];
    const int lane = threadIdx.x % 8, group = threadIdx.x / 8;
    const int place = blockIdx.x * 8 + lane;
    const int shares = max(1, min((int)(N * 6), 396));
    const float *const first = (const float *)scratch + place;
    float sum = 0.0f;
    #pragma unroll 4
    for (int i = group; place < 224 && i < shares; i += 32)
        sum += first[i * 224];
    parts[group][lane] = sum;
    __syncthreads();
    if (group > 0 || place >= 224)
        return;
    float acc = sum;
    for (int i = 1; i < 32; ++i)
        acc += parts[i][lane];
    const int64_t row = place / 8, column = place % 8;
    if (row == 27) {
        sum_out[column] = acc;
        return;
    }
    dw[row * 8 + column] = acc;
}

