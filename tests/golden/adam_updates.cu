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

/* sqrt: the instruction; 0.5 ulp. */
static __device__ __forceinline__ float tg_sqrt_f32(float x)
{
    return sqrtf(x);
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

/* sum over the 4 threads of a team, in an order that depends on nothing; all of them get the result. */
static __device__ __forceinline__ float tg_join_sum_float_4(float value)
{
    const unsigned mask = 0xfu << (threadIdx.x % 32 / 4 * 4);
    for (int distance = 2; distance > 0; distance /= 2) {
        const float other = (float)__shfl_xor_sync(mask, (float)value, distance);
        value += other;
    }
    return (float)__shfl_sync(mask, (float)value, 0, 4);
}

/*
 * MatMul -> add -> Relu -> Square -> gradients/Square_grad/mul -> gradients/Square_grad/mul_1 -> gradients/Relu_
 * grad/ReluGrad
 * matmul, float32 [N, 4]
 */
extern "C" __global__ void __launch_bounds__(128, 1) k00_matmul_add_relu_square(const tg_step s)
{
    const int64_t N = s.N;
    const float *__restrict__ a = (const float *)(s.feeds[0]);
    const float *__restrict__ b = (const float *)(s.variables[0]);
    const float *__restrict__ b_1 = (const float *)(s.variables[1]);
    float *__restrict__ square_out = (float *)(s.batch + 0 * N);
    float *__restrict__ relugrad_out = (float *)(s.batch + 64 * N);
    __shared__ __align__(16) float memory[8256];
    float (*const left)[128][20] = (float (*)[128][20])memory;
    float (*const right)[16][12] = (float (*)[16][12])(memory + 7680);
    const int thread = threadIdx.x;
    const int rows = N, columns = 4, depth = 3;
    const int first_row = blockIdx.x * 128, first_column = blockIdx.y * 8;
    const int begin = 0, end = depth;

    const auto fetch = [&](int step, int stage) {
        #pragma unroll
        for (int i = 0; i < 16; ++i) {
            const int across = first_row + thread / 16 + i * 8, deep = step + thread % 16;
            const bool inside = across < rows && deep < end;
            tg_copy<4>(&left[stage][thread / 16 + i * 8][thread % 16], inside ? a + (int64_t)across * 3 + deep : a, inside);
        }
        #pragma unroll
        for (int i = 0; i < 1; ++i) {
            const int across = first_column + thread % 2 * 4, deep = step + thread / 2;
            const bool inside = across < columns && deep < end;
            if (thread < 32)
                tg_copy<16>(&right[stage][thread / 2][thread % 2 * 4], inside ? b + (int64_t)deep * 4 + across : b, inside);
        }
    };

    const int thread_row = thread / 4, thread_column = thread % 4 * 2;
    float total[4][2] = {};
    for (int i = 0; i < 2; ++i) {
        if (begin + i * 16 < end)
            fetch(begin + i * 16, i);
        tg_copies_end();
    }
    int stage = 0;
    for (int step = begin; step < end; step += 16) {
        tg_copies_wait<1>();
        __syncthreads(); // this stage is there for all, and all have done with the one before
        if (step + 32 < end)
            fetch(step + 32, stage == 0 ? 2 : stage - 1);
        tg_copies_end();
        #pragma unroll
        for (int k = 0; k < 16; k += 4) {
            __align__(16) float a_part[4][4];
            #pragma unroll
            for (int i = 0; i < 4; ++i)
                *(float4 *)a_part[i] = *(const float4 *)&left[stage][thread_row + i * 32][k];
            #pragma unroll
            for (int q = 0; q < 4; ++q) {
                __align__(16) float b_part[2];
                #pragma unroll
                for (int i = 0; i < 2; i += 2)
                    #pragma unroll
                    for (int j = 0; j < 2; ++j)
                        b_part[i + j] = right[stage][k + q][thread_column + i * 4 + j];
                #pragma unroll
                for (int i = 0; i < 4; ++i)
                    #pragma unroll
                    for (int j = 0; j < 2; ++j)
                        total[i][j] += a_part[i][q] * b_part[j];
            }
        }
        stage = stage == 2 ? 0 : stage + 1;
    }
    __syncthreads();

    // the sums by rows, 128 at a time, in the memory that the tiles had
    float (*const sums)[12] = (float (*)[12])memory;
    for (int slice = 0; slice < 128; slice += 128) {
        #pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int r = thread_row + i * 32 - slice;
            if (0 <= r && r < 128) {
                #pragma unroll
                for (int j = 0; j < 2; ++j)
                    sums[r][thread_column + j] = total[i][j];
            }
        }
        __syncthreads();
        for (int i = thread; i < 1024; i += 128) {
            const int r = first_row + slice + i / 8, c = first_column + i % 8;
            if (r >= rows || c >= columns)
                continue;
            const int64_t row = r, column = c;
            const float acc = sums[i / 8][i % 8];
            const float add = acc + b_1[column]; /* add */
            const float relu = tg_max_f32(add, 0.0f); /* Relu */
            const float square = relu * relu; /* Square */
            square_out[row * 4 + column] = square;
            const float mul = relu * 2.0f; /* gradients/Square_grad/mul */
            const float mul_1 = 1.0f * mul; /* gradients/Square_grad/mul_1 */
            const float relugrad = relu > 0.0f ? mul_1 : 0.0f; /* gradients/Relu_grad/ReluGrad */
            relugrad_out[row * 4 + column] = relugrad;
        }
        __syncthreads();
    }
}

/*
 * gradients/MatMul_grad/MatMul_1 -> Adam/update_w/ApplyAdam
 * matmul, float32 [3, 4]
 */
extern "C" __global__ void __launch_bounds__(128, 1) k01_matmul_applyadam(const tg_step s)
{
    const int64_t N = s.N;
    const float *__restrict__ a = (const float *)(s.feeds[0]);
    const float *__restrict__ b = (const float *)(s.batch + 64 * N);
    float *__restrict__ w_1 = (float *)(s.variables[0]);
    float *__restrict__ adam = (float *)(s.variables[2]);
    float *__restrict__ adam_1 = (float *)(s.variables[3]);
    const float *__restrict__ beta1_power = (const float *)(s.variables[4]);
    const float *__restrict__ beta2_power = (const float *)(s.variables[5]);
    const float *__restrict__ learning_rate = (const float *)(s.constants[2]);
    const float *__restrict__ beta1 = (const float *)(s.constants[3]);
    const float *__restrict__ beta2 = (const float *)(s.constants[4]);
    const float *__restrict__ epsilon = (const float *)(s.constants[5]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    __shared__ __align__(16) float memory[6912];
    float (*const left)[16][132] = (float (*)[16][132])memory;
    float (*const right)[16][12] = (float (*)[16][12])(memory + 6336);
    const int thread = threadIdx.x;
    const int rows = 3, columns = 4, depth = N;
    const int first_row = blockIdx.x * 128, first_column = blockIdx.y * 8;
    const int begin = 0, end = depth;

    const auto fetch = [&](int step, int stage) {
        #pragma unroll
        for (int i = 0; i < 16; ++i) {
            const int across = first_row + thread % 128, deep = step + thread / 128 + i;
            const bool inside = across < rows && deep < end;
            tg_copy<4>(&left[stage][thread / 128 + i][thread % 128], inside ? a + (int64_t)deep * 3 + across : a, inside);
        }
        #pragma unroll
        for (int i = 0; i < 1; ++i) {
            const int across = first_column + thread % 2 * 4, deep = step + thread / 2;
            const bool inside = across < columns && deep < end;
            if (thread < 32)
                tg_copy<16>(&right[stage][thread / 2][thread % 2 * 4], inside ? b + (int64_t)deep * 4 + across : b, inside);
        }
    };

    const int thread_row = thread / 4 * 4, thread_column = thread % 4 * 2;
    float total[4][2] = {};
    for (int i = 0; i < 2; ++i) {
        if (begin + i * 16 < end)
            fetch(begin + i * 16, i);
        tg_copies_end();
    }
    int stage = 0;
    for (int step = begin; step < end; step += 16) {
        tg_copies_wait<1>();
        __syncthreads(); // this stage is there for all, and all have done with the one before
        if (step + 32 < end)
            fetch(step + 32, stage == 0 ? 2 : stage - 1);
        tg_copies_end();
        #pragma unroll
        for (int k = 0; k < 16; ++k) {
            __align__(16) float a_part[4];
            #pragma unroll
            for (int i = 0; i < 4; i += 4)
                *(float4 *)&a_part[i] = *(const float4 *)&left[stage][k][thread_row + i * 32];
            __align__(16) float b_part[2];
            #pragma unroll
            for (int i = 0; i < 2; i += 2)
                #pragma unroll
                for (int j = 0; j < 2; ++j)
                    b_part[i + j] = right[stage][k][thread_column + i * 4 + j];
            #pragma unroll
            for (int i = 0; i < 4; ++i)
                #pragma unroll
                for (int j = 0; j < 2; ++j)
                    total[i][j] += a_part[i] * b_part[j];
        }
        stage = stage == 2 ? 0 : stage + 1;
    }
    __syncthreads();

    // the sums by rows, 128 at a time, in the memory that the tiles had
    float (*const sums)[12] = (float (*)[12])memory;
    for (int slice = 0; slice < 128; slice += 128) {
        #pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int r = thread_row + i - slice;
            if (0 <= r && r < 128) {
                #pragma unroll
                for (int j = 0; j < 2; ++j)
                    sums[r][thread_column + j] = total[i][j];
            }
        }
        __syncthreads();
        for (int i = thread; i < 1024; i += 128) {
            const int r = first_row + slice + i / 8, c = first_column + i % 8;
            if (r >= rows || c >= columns)
                continue;
            const int64_t row = r, column = c;
            const float acc = sums[i / 8][i % 8];
            const float new_w_adam = adam[row * 4 + column] + (acc - adam[row * 4 + column]) * (1.0f - beta1_1); /* Adam/update_w/ApplyAdam */
            const float new_w_adam_1 = adam_1[row * 4 + column] + (acc * acc - adam_1[row * 4 + column]) * (1.0f - beta2_1); /* Adam/update_w/ApplyAdam */
            const float new_w = w_1[row * 4 + column] - new_w_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_w_adam_1) + epsilon_1); /* Adam/update_w/ApplyAdam */
            w_1[row * 4 + column] = new_w;
            adam[row * 4 + column] = new_w_adam;
            adam_1[row * 4 + column] = new_w_adam_1;
        }
        __syncthreads();
    }
}

/* k02_rows_sum_applyadam, first launch: one part of the rows, and what it adds to the results of all rows. */
extern "C" __global__ void k02_rows_sum_applyadam_parts(const tg_step s)
{
    const int64_t N = s.N;
    const unsigned block = blockIdx.x;
    const int64_t team = (int64_t)block * 64 + threadIdx.x / 4;
    const int lane = threadIdx.x % 4;
    const int64_t chunk = team;
    if (chunk >= tg_parts(N, 1, 64))
        return;
    const float *__restrict__ square = (const float *)(s.batch + 0 * N);
    const float *__restrict__ relugrad = (const float *)(s.batch + 64 * N);
    float *__restrict__ loss_total_parts = (float *)(s.fixed + 0);
    float *__restrict__ sum_total_parts = (float *)(s.fixed + 4096);
    __shared__ float sum_total_of_team[64][4];
    float *const sum_total = sum_total_of_team[threadIdx.x / 4];
    const int64_t size = tg_chunks(N, tg_parts(N, 1, 64));
    const int64_t to = tg_least((chunk + 1) * size, N);
    float loss_total = 0.0f;
    for (int64_t e = lane; e < 4; e += 4)
        sum_total[e] = 0.0f;
    for (int64_t i = chunk * size; i < to; ++i) {
        float loss = 0.0f;
        for (int64_t j = lane; j < 4; j += 4) {
            loss += square[i * 4 + j];
            sum_total[j] += relugrad[i * 4 + j];
        }
        loss = tg_join_sum_float_4(loss);
        loss_total += loss;
    }
    if (lane == 0)
        loss_total_parts[chunk] = loss_total;
    for (int64_t e = lane; e < 4; e += 4)
        sum_total_parts[chunk * 4 + e] = sum_total[e];
}

/*
 * loss -> gradients/add_grad/Reshape_1 -> Adam/update_b/ApplyAdam
 * rows, float32 [N, 4]
 */
extern "C" __global__ void k02_rows_sum_applyadam(const tg_step s)
{
    const int64_t N = s.N;
    const unsigned block = blockIdx.x;
    const unsigned blocks = gridDim.x;
    const int64_t team = (int64_t)block * 256 + threadIdx.x;
    const int64_t teams = (int64_t)blocks * 256;
    float *__restrict__ loss_out = (float *)(s.fetches[0]);
    float *__restrict__ b = (float *)(s.variables[1]);
    float *__restrict__ adam = (float *)(s.variables[6]);
    float *__restrict__ adam_1 = (float *)(s.variables[7]);
    const float *__restrict__ beta1_power = (const float *)(s.variables[4]);
    const float *__restrict__ beta2_power = (const float *)(s.variables[5]);
    const float *__restrict__ learning_rate = (const float *)(s.constants[2]);
    const float *__restrict__ beta1 = (const float *)(s.constants[3]);
    const float *__restrict__ beta2 = (const float *)(s.constants[4]);
    const float *__restrict__ epsilon = (const float *)(s.constants[5]);
    float *__restrict__ loss_total_parts = (float *)(s.fixed + 0);
    float *__restrict__ sum_total_parts = (float *)(s.fixed + 4096);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    const int64_t parts = tg_parts(N, 1, 64);
    float loss_1 = 0.0f;
    for (int64_t part = 0; part < parts; ++part) {
        loss_1 += loss_total_parts[part];
    }
    if (team == 0)
        loss_out[0] = loss_1;
    for (int64_t e = team; e < 4; e += teams) {
        float sum = 0.0f;
        for (int64_t part = 0; part < parts; ++part) {
            sum += sum_total_parts[part * 4 + e];
        }
        const float new_b_adam = adam[e] + (sum - adam[e]) * (1.0f - beta1_1); /* Adam/update_b/ApplyAdam */
        const float new_b_adam_1 = adam_1[e] + (sum * sum - adam_1[e]) * (1.0f - beta2_1); /* Adam/update_b/ApplyAdam */
        const float new_b = b[e] - new_b_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_b_adam_1) + epsilon_1); /* Adam/update_b/ApplyAdam */
        b[e] = new_b;
        adam[e] = new_b_adam;
        adam_1[e] = new_b_adam_1;
    }
}

/*
 * Adam/mul -> Adam/mul_1 -> Adam/Assign -> Adam/Assign_1
 * pointwise, float32 []
 */
extern "C" __global__ void k03_mul_assign(const tg_step s)
{
    const unsigned block = blockIdx.x;
    const int64_t team = (int64_t)block * 256 + threadIdx.x;
    float *__restrict__ beta1_power = (float *)(s.variables[4]);
    const float *__restrict__ beta1 = (const float *)(s.constants[3]);
    float *__restrict__ beta2_power = (float *)(s.variables[5]);
    const float *__restrict__ beta2 = (const float *)(s.constants[4]);
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    if (team == 0) {
        const float mul = beta1_power[0] * beta1_1; /* Adam/mul */
        const float mul_1 = beta2_power[0] * beta2_1; /* Adam/mul_1 */
        const float new_beta1_power = mul; /* Adam/Assign */
        beta1_power[0] = new_beta1_power;
        const float new_beta2_power = mul_1; /* Adam/Assign_1 */
        beta2_power[0] = new_beta2_power;
    }
}

