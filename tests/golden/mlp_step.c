#endif

#if TG_IN_UNIT(0)

/*
 * MatMul -> BiasAdd -> Relu
 * matmul, float32 [N, 24]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k00_matmul_add_relu_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    const int64_t N = s->N;
    const float *restrict biases = (const float *)(s->variables[1]);
    float *restrict relu_out = (float *)(s->batch + 0 * N);
    const int64_t first_row = chunk * 128;
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = first_row + r;
        const float *sum = sums + (r - first) * 24;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float add = acc + biases[column]; /* BiasAdd: Add */
            const float relu = tg_max_f32(add, 0.0f); /* Relu */
            relu_out[row * 24 + column] = relu;
        }
    }
}

void k00_matmul_add_relu(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->feeds[0]);
    const float *restrict b = (const float *)(s->variables[0]);
    const int64_t first_row = chunk * 128;
    const int64_t rows = tg_smaller(N - first_row, 128);
    _Alignas(64) float sums[768];
    int64_t step = 0;
    const int64_t end = 36;
    do {
        const int64_t depth = tg_smaller(end - step, 36);
        const float *left = a + first_row * 36 + step;
        for (int64_t group = 0; group < rows; group += 32) {
            const int64_t group_end = tg_smaller(group + 32, rows);
            float *group_sums = sums;
            for (int64_t panel = 0; panel < 24; panel += 24) {
                const float *right = b + step * 24 + panel;
                const int64_t right_step = 24;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 4 <= group_end; r += 4)
                    tg_tile_f32_4x24_stride36(left + r * 36, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0);
                for (; r < group_end; r += 4)
                    tg_tile_f32_4x24_partial(left + r * 36, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0,
                        36, tg_smaller(group_end - r, 4));
            }
            k00_matmul_add_relu_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
}

/*
 * MatMul_1 -> BiasAdd_1 -> Relu_1
 * matmul, float32 [N, 24]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k01_matmul_add_relu_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    const int64_t N = s->N;
    const float *restrict biases_1 = (const float *)(s->variables[3]);
    float *restrict relu_1_out = (float *)(s->batch + 128 * N);
    const int64_t first_row = chunk * 128;
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = first_row + r;
        const float *sum = sums + (r - first) * 24;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float add = acc + biases_1[column]; /* BiasAdd_1: Add */
            const float relu_1 = tg_max_f32(add, 0.0f); /* Relu_1 */
            relu_1_out[row * 24 + column] = relu_1;
        }
    }
}

void k01_matmul_add_relu(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->batch + 0 * N);
    const float *restrict b = (const float *)(s->variables[2]);
    const int64_t first_row = chunk * 128;
    const int64_t rows = tg_smaller(N - first_row, 128);
    _Alignas(64) float sums[768];
    int64_t step = 0;
    const int64_t end = 24;
    do {
        const int64_t depth = tg_smaller(end - step, 24);
        const float *left = a + first_row * 24 + step;
        for (int64_t group = 0; group < rows; group += 32) {
            const int64_t group_end = tg_smaller(group + 32, rows);
            float *group_sums = sums;
            for (int64_t panel = 0; panel < 24; panel += 24) {
                const float *right = b + step * 24 + panel;
                const int64_t right_step = 24;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 4 <= group_end; r += 4)
                    tg_tile_f32_4x24_stride24(left + r * 24, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0);
                for (; r < group_end; r += 4)
                    tg_tile_f32_4x24_partial(left + r * 24, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0,
                        24, tg_smaller(group_end - r, 4));
            }
            k01_matmul_add_relu_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
}

/*
 * MatMul_2 -> BiasAdd_2
 * matmul, float32 [N, 10]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k02_matmul_add_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    const int64_t N = s->N;
    const float *restrict biases_2 = (const float *)(s->variables[5]);
    float *restrict add_out = (float *)(s->batch + 256 * N);
    const int64_t first_row = chunk * 132;
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = first_row + r;
        const float *sum = sums + (r - first) * 16;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 10; ++column) {
            const float acc = sum[column];
            const float add = acc + biases_2[column]; /* BiasAdd_2: Add */
            add_out[row * 10 + column] = add;
        }
    }
}

void k02_matmul_add(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->batch + 128 * N);
    const float *restrict b = (const float *)(s->variables[4]);
    const int64_t first_row = chunk * 132;
    const int64_t rows = tg_smaller(N - first_row, 132);
    _Alignas(64) float sums[480];
    _Alignas(64) float packed[384];
    int64_t step = 0;
    const int64_t end = 24;
    do {
        const int64_t depth = tg_smaller(end - step, 24);
        const float *left = a + first_row * 24 + step;
        // an incomplete panel is packed in any case: it must not be read beyond its end
        for (int64_t panel = 0; panel < 10; panel += 16)
            tg_pack_f32x16(b + step * 10 + panel, 10, depth, tg_smaller(10 - panel, 16), packed);
        for (int64_t group = 0; group < rows; group += 30) {
            const int64_t group_end = tg_smaller(group + 30, rows);
            float *group_sums = sums;
            for (int64_t panel = 0; panel < 10; panel += 16) {
                const bool is_packed = panel + 16 > 10;
                const float *right = is_packed ? packed : b + step * 10 + panel;
                const int64_t right_step = is_packed ? 16 : 10;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 6 <= group_end; r += 6)
                    tg_tile_f32_6x16_stride24(left + r * 24, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 16, 16, step > 0);
                for (; r < group_end; r += 4)
                    tg_tile_f32_4x16_partial(left + r * 24, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 16, 16, step > 0,
                        24, tg_smaller(group_end - r, 4));
            }
            k02_matmul_add_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
}

/* k03_rows_sub_exp_sum, first launch: one part of the rows, and what it adds to the results of all rows. */
void k03_rows_sub_exp_sum_parts(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict add = (const float *)(s->batch + 256 * N);
    const float *restrict labels = (const float *)(s->feeds[1]);
    float *restrict mul_out = (float *)(s->batch + 512 * N);
    float *restrict sum_total_parts = (float *)(s->fixed + 0);
    float *restrict sum_total_1_parts = (float *)(s->fixed + 4096);
    const float realdiv = 1.0f / (float)(N); /* gradients/Mean_grad/RealDiv */
    const int64_t size = tg_chunks(N, tg_parts(N, 546, 64));
    const int64_t to = tg_least((chunk + 1) * size, N);
    float sum_total = 0.0f;
    float sum_total_1[10];
    for (int64_t e = 0; e < 10; ++e)
        sum_total_1[e] = 0.0f;
    for (int64_t i = chunk * size; i < to; ++i) {
        float sub_row[10];
        float exp_row[10];
        float max = -INFINITY;
        for (int64_t j = 0; j < 10; ++j) {
            max = tg_max_f32(max, add[i * 10 + j]);
        }
        float sum = 0.0f;
        for (int64_t j = 0; j < 10; ++j) {
            const float sub = add[i * 10 + j] - max; /* softmax_cross_entropy_with_logits_sg: Sub */
            sub_row[j] = sub;
            const float exp = tg_exp_f32(sub); /* softmax_cross_entropy_with_logits_sg: Exp */
            exp_row[j] = exp;
            sum += exp;
        }
        const float log = tg_log_f32(sum); /* softmax_cross_entropy_with_logits_sg: Log */
        float sum_1 = 0.0f;
        for (int64_t j = 0; j < 10; ++j) {
            const float sub_1 = log - sub_row[j]; /* softmax_cross_entropy_with_logits_sg: Sub */
            const float mul = labels[i * 10 + j] * sub_1; /* softmax_cross_entropy_with_logits_sg: Mul */
            sum_1 += mul;
            const float realdiv_1 = exp_row[j] / sum; /* softmax_cross_entropy_with_logits_sg: RealDiv */
            const float sub_2 = realdiv_1 - labels[i * 10 + j]; /* softmax_cross_entropy_with_logits_sg: Sub */
            const float mul_1 = tg_product_f32(realdiv, sub_2); /* gradients/softmax_cross_entropy_with_logits_sg_grad/mul */
            mul_out[i * 10 + j] = mul_1;
            sum_total_1[j] += mul_1;
        }
        sum_total += sum_1;
    }
    sum_total_parts[chunk] = sum_total;
    for (int64_t e = 0; e < 10; ++e)
        sum_total_1_parts[chunk * 10 + e] = sum_total_1[e];
}

/*
 * softmax_cross_entropy_with_logits_sg -> Mean -> gradients/Mean_grad/RealDiv -> gradients/softmax_cross_entropy
 * _with_logits_sg_grad/mul -> gradients/BiasAdd_2_grad/BiasAddGrad -> Adam/update_biases_2/ApplyAdam
 * rows, float32 [N, 10]
 */
void k03_rows_sub_exp_sum(const tg_step *s, int64_t chunk)
{
    (void)chunk;  // there is one only
    const int64_t N = s->N;
    float *restrict realdiv_out = (float *)(s->fetches[0]);
    float *restrict biases_2 = (float *)(s->variables[5]);
    float *restrict adam = (float *)(s->variables[6]);
    float *restrict adam_1 = (float *)(s->variables[7]);
    const float *restrict beta1_power = (const float *)(s->variables[8]);
    const float *restrict beta2_power = (const float *)(s->variables[9]);
    const float *restrict learning_rate = (const float *)(s->constants[1]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float *restrict epsilon = (const float *)(s->constants[4]);
    float *restrict sum_total_parts = (float *)(s->fixed + 0);
    float *restrict sum_total_1_parts = (float *)(s->fixed + 4096);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    const int64_t parts = tg_parts(N, 546, 64);
    float sum_2 = 0.0f;
    for (int64_t part = 0; part < parts; ++part) {
        sum_2 += sum_total_parts[part];
    }
    const float realdiv_2 = sum_2 / (float)(N); /* Mean: RealDiv */
    realdiv_out[0] = realdiv_2;
    for (int64_t e = 0; e < 10; ++e) {
        float sum_3 = 0.0f;
        for (int64_t part = 0; part < parts; ++part) {
            sum_3 += sum_total_1_parts[part * 10 + e];
        }
        const float new_biases_2_adam = adam[e] + (sum_3 - adam[e]) * (1.0f - beta1_1); /* Adam/update_biases_2/ApplyAdam */
        const float new_biases_2_adam_1 = adam_1[e] + (sum_3 * sum_3 - adam_1[e]) * (1.0f - beta2_1); /* Adam/update_biases_2/ApplyAdam */
        const float new_biases_2 = biases_2[e] - new_biases_2_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_biases_2_adam_1) + epsilon_1); /* Adam/update_biases_2/ApplyAdam */
        biases_2[e] = new_biases_2;
        adam[e] = new_biases_2_adam;
        adam_1[e] = new_biases_2_adam_1;
    }
}

/*
 * gradients/MatMul_2_grad/MatMul -> gradients/Relu_1_grad/ReluGrad
 * matmul, float32 [N, 24]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k04_matmul_relugrad_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    const int64_t N = s->N;
    const float *restrict relu_1 = (const float *)(s->batch + 128 * N);
    float *restrict relugrad_out = (float *)(s->batch + 256 * N);
    const int64_t first_row = chunk * 128;
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = first_row + r;
        const float *sum = sums + (r - first) * 24;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float relugrad = relu_1[row * 24 + column] > 0.0f ? acc : 0.0f; /* gradients/Relu_1_grad/ReluGrad */
            relugrad_out[row * 24 + column] = relugrad;
        }
    }
}

void k04_matmul_relugrad(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->batch + 512 * N);
    const float *restrict b = (const float *)(s->variables[4]);
    const int64_t first_row = chunk * 128;
    const int64_t rows = tg_smaller(N - first_row, 128);
    _Alignas(64) float sums[768];
    _Alignas(64) float packed[240];
    int64_t step = 0;
    const int64_t end = 10;
    do {
        const int64_t depth = tg_smaller(end - step, 10);
        const float *left = a + first_row * 10 + step;
        for (int64_t panel = 0; panel < 24; panel += 24)
            tg_pack_f32x24_transposed(b + panel * 10 + step, 10, depth, 24, packed + panel * 10);
        for (int64_t group = 0; group < rows; group += 32) {
            const int64_t group_end = tg_smaller(group + 32, rows);
            float *group_sums = sums;
            for (int64_t panel = 0; panel < 24; panel += 24) {
                const float *right = packed + panel * 10;
                const int64_t right_step = 24;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 4 <= group_end; r += 4)
                    tg_tile_f32_4x24_stride10(left + r * 10, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0);
                for (; r < group_end; r += 4)
                    tg_tile_f32_4x24_partial(left + r * 10, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0,
                        10, tg_smaller(group_end - r, 4));
            }
            k04_matmul_relugrad_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
}

#endif

#if TG_IN_UNIT(1)

/*
 * gradients/MatMul_2_grad/MatMul_1 -> Adam/update_weights_2/ApplyAdam
 * matmul, float32 [24, 10]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k05_matmul_applyadam_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    (void)chunk;  // there is one only
    float *restrict weights_2 = (float *)(s->variables[4]);
    float *restrict adam = (float *)(s->variables[10]);
    float *restrict adam_1 = (float *)(s->variables[11]);
    const float *restrict beta1_power = (const float *)(s->variables[8]);
    const float *restrict beta2_power = (const float *)(s->variables[9]);
    const float *restrict learning_rate = (const float *)(s->constants[1]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float *restrict epsilon = (const float *)(s->constants[4]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    // whole rows, one behind the other, as their sums are
    const int64_t row = first;
    const float *sum = sums;
    #pragma GCC ivdep
    for (int64_t column = 0; column < (end - first) * 10; ++column) {
        const float acc = sum[column];
        const float new_weights_2_adam = adam[row * 10 + column] + (acc - adam[row * 10 + column]) * (1.0f - beta1_1); /* Adam/update_weights_2/ApplyAdam */
        const float new_weights_2_adam_1 = adam_1[row * 10 + column] + (acc * acc - adam_1[row * 10 + column]) * (1.0f - beta2_1); /* Adam/update_weights_2/ApplyAdam */
        const float new_weights_2 = weights_2[row * 10 + column] - new_weights_2_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_weights_2_adam_1) + epsilon_1); /* Adam/update_weights_2/ApplyAdam */
        weights_2[row * 10 + column] = new_weights_2;
        adam[row * 10 + column] = new_weights_2_adam;
        adam_1[row * 10 + column] = new_weights_2_adam_1;
    }
}

void k05_matmul_applyadam(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->batch + 128 * N);
    const float *restrict b = (const float *)(s->batch + 512 * N);
    _Alignas(64) float sums[240];
    _Alignas(64) float rest[48];
    int64_t step = 0;
    const int64_t end = N;
    do {
        const int64_t depth = tg_smaller(end - step, 256);
        const float *left = a + step * 24;
        // the last 2 columns as rows of the transposed product, which wastes no part of a vector
        for (int64_t r = 0; r < 24; r += 24)
            tg_tile_f32_2x24_stride1(b + step * 10 + 8, 10, 0, left + r, 24, 0,
                1, depth, rest + r, 24, step > 0);
        for (int64_t group = 0; group < 24; group += 24) {
            const int64_t group_end = tg_smaller(group + 24, 24);
            float *group_sums = end > 256 ? sums + group * 10 : sums;
            for (int64_t panel = 0; panel < 8; panel += 8) {
                const float *right = b + step * 10 + panel;
                const int64_t right_step = 10;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 12 <= group_end; r += 12)
                    tg_tile_f32_12x8_stride1(left + r, 24, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 10, 10, step > 0);
            }
            for (int64_t r = group; r < group_end; ++r)
                for (int64_t c = 0; c < 2; ++c)
                    group_sums[(r - group) * 10 + 8 + c] = rest[c * 24 + r];
            if (step + depth == end)
                k05_matmul_applyadam_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
}

/*
 * gradients/MatMul_1_grad/MatMul -> gradients/Relu_grad/ReluGrad
 * matmul, float32 [N, 24]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k06_matmul_relugrad_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    const int64_t N = s->N;
    const float *restrict relu = (const float *)(s->batch + 0 * N);
    float *restrict relugrad_out = (float *)(s->batch + 384 * N);
    const int64_t first_row = chunk * 128;
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = first_row + r;
        const float *sum = sums + (r - first) * 24;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float relugrad = relu[row * 24 + column] > 0.0f ? acc : 0.0f; /* gradients/Relu_grad/ReluGrad */
            relugrad_out[row * 24 + column] = relugrad;
        }
    }
}

void k06_matmul_relugrad(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->batch + 256 * N);
    const float *restrict b = (const float *)(s->variables[2]);
    const int64_t first_row = chunk * 128;
    const int64_t rows = tg_smaller(N - first_row, 128);
    _Alignas(64) float sums[768];
    _Alignas(64) float packed[576];
    int64_t step = 0;
    const int64_t end = 24;
    do {
        const int64_t depth = tg_smaller(end - step, 24);
        const float *left = a + first_row * 24 + step;
        for (int64_t panel = 0; panel < 24; panel += 24)
            tg_pack_f32x24_transposed(b + panel * 24 + step, 24, depth, 24, packed + panel * 24);
        for (int64_t group = 0; group < rows; group += 32) {
            const int64_t group_end = tg_smaller(group + 32, rows);
            float *group_sums = sums;
            for (int64_t panel = 0; panel < 24; panel += 24) {
                const float *right = packed + panel * 24;
                const int64_t right_step = 24;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 4 <= group_end; r += 4)
                    tg_tile_f32_4x24_stride24(left + r * 24, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0);
                for (; r < group_end; r += 4)
                    tg_tile_f32_4x24_partial(left + r * 24, 1, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0,
                        24, tg_smaller(group_end - r, 4));
            }
            k06_matmul_relugrad_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
}

/*
 * gradients/BiasAdd_1_grad/BiasAddGrad -> gradients/MatMul_1_grad/MatMul_1 -> Adam/update_weights_1/ApplyAdam ->
 *  Adam/update_biases_1/ApplyAdam
 * matmul, float32 [24, 24]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k07_matmul_sum_applyadam_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    (void)chunk;  // there is one only
    const float *restrict beta1_power = (const float *)(s->variables[8]);
    const float *restrict beta2_power = (const float *)(s->variables[9]);
    const float *restrict learning_rate = (const float *)(s->constants[1]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float *restrict epsilon = (const float *)(s->constants[4]);
    float *restrict weights_1 = (float *)(s->variables[2]);
    float *restrict adam_2 = (float *)(s->variables[12]);
    float *restrict adam_1_1 = (float *)(s->variables[13]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = r;
        const float *sum = sums + (r - first) * 24;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float new_weights_1_adam = adam_2[row * 24 + column] + (acc - adam_2[row * 24 + column]) * (1.0f - beta1_1); /* Adam/update_weights_1/ApplyAdam */
            const float new_weights_1_adam_1 = adam_1_1[row * 24 + column] + (acc * acc - adam_1_1[row * 24 + column]) * (1.0f - beta2_1); /* Adam/update_weights_1/ApplyAdam */
            const float new_weights_1 = weights_1[row * 24 + column] - new_weights_1_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_weights_1_adam_1) + epsilon_1); /* Adam/update_weights_1/ApplyAdam */
            weights_1[row * 24 + column] = new_weights_1;
            adam_2[row * 24 + column] = new_weights_1_adam;
            adam_1_1[row * 24 + column] = new_weights_1_adam_1;
        }
    }
}

void k07_matmul_sum_applyadam(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->batch + 0 * N);
    const float *restrict b = (const float *)(s->batch + 256 * N);
    float *restrict biases_1 = (float *)(s->variables[3]);
    float *restrict adam = (float *)(s->variables[14]);
    float *restrict adam_1 = (float *)(s->variables[15]);
    const float *restrict beta1_power = (const float *)(s->variables[8]);
    const float *restrict beta2_power = (const float *)(s->variables[9]);
    const float *restrict learning_rate = (const float *)(s->constants[1]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float *restrict epsilon = (const float *)(s->constants[4]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    _Alignas(64) float sums[576];
    float column_sums[24] = {0};
    int64_t step = 0;
    const int64_t end = N;
    do {
        const int64_t depth = tg_smaller(end - step, 256);
        tg_column_sums_f32x24(b + step * 24, 24, depth, 24, column_sums);
        const float *left = a + step * 24;
        for (int64_t group = 0; group < 24; group += 24) {
            const int64_t group_end = tg_smaller(group + 24, 24);
            float *group_sums = end > 256 ? sums + group * 24 : sums;
            for (int64_t panel = 0; panel < 24; panel += 24) {
                const float *right = b + step * 24 + panel;
                const int64_t right_step = 24;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 4 <= group_end; r += 4)
                    tg_tile_f32_4x24_stride1(left + r, 24, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0);
            }
            if (step + depth == end)
                k07_matmul_sum_applyadam_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
    {
        const float *sum = column_sums;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float new_biases_1_adam = adam[column] + (acc - adam[column]) * (1.0f - beta1_1); /* Adam/update_biases_1/ApplyAdam */
            const float new_biases_1_adam_1 = adam_1[column] + (acc * acc - adam_1[column]) * (1.0f - beta2_1); /* Adam/update_biases_1/ApplyAdam */
            const float new_biases_1 = biases_1[column] - new_biases_1_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_biases_1_adam_1) + epsilon_1); /* Adam/update_biases_1/ApplyAdam */
            biases_1[column] = new_biases_1;
            adam[column] = new_biases_1_adam;
            adam_1[column] = new_biases_1_adam_1;
        }
    }
}

/*
 * gradients/BiasAdd_grad/BiasAddGrad -> gradients/MatMul_grad/MatMul_1 -> Adam/update_weights/ApplyAdam -> Adam/
 * update_biases/ApplyAdam
 * matmul, float32 [36, 24]
 */
/* Stores the block's rows first .. end-1, of which `first` has its sums at `sums`. */
static void k08_matmul_sum_applyadam_finish(const tg_step *s, int64_t chunk, const float *sums, int64_t first, int64_t end)
{
    (void)chunk;  // there is one only
    const float *restrict beta1_power = (const float *)(s->variables[8]);
    const float *restrict beta2_power = (const float *)(s->variables[9]);
    const float *restrict learning_rate = (const float *)(s->constants[1]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float *restrict epsilon = (const float *)(s->constants[4]);
    float *restrict weights = (float *)(s->variables[0]);
    float *restrict adam_2 = (float *)(s->variables[16]);
    float *restrict adam_1_1 = (float *)(s->variables[17]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    for (int64_t r = first; r < end; ++r) {
        const int64_t row = r;
        const float *sum = sums + (r - first) * 24;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float new_weights_adam = adam_2[row * 24 + column] + (acc - adam_2[row * 24 + column]) * (1.0f - beta1_1); /* Adam/update_weights/ApplyAdam */
            const float new_weights_adam_1 = adam_1_1[row * 24 + column] + (acc * acc - adam_1_1[row * 24 + column]) * (1.0f - beta2_1); /* Adam/update_weights/ApplyAdam */
            const float new_weights = weights[row * 24 + column] - new_weights_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_weights_adam_1) + epsilon_1); /* Adam/update_weights/ApplyAdam */
            weights[row * 24 + column] = new_weights;
            adam_2[row * 24 + column] = new_weights_adam;
            adam_1_1[row * 24 + column] = new_weights_adam_1;
        }
    }
}

void k08_matmul_sum_applyadam(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const float *restrict a = (const float *)(s->feeds[0]);
    const float *restrict b = (const float *)(s->batch + 384 * N);
    float *restrict biases = (float *)(s->variables[1]);
    float *restrict adam = (float *)(s->variables[18]);
    float *restrict adam_1 = (float *)(s->variables[19]);
    const float *restrict beta1_power = (const float *)(s->variables[8]);
    const float *restrict beta2_power = (const float *)(s->variables[9]);
    const float *restrict learning_rate = (const float *)(s->constants[1]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float *restrict epsilon = (const float *)(s->constants[4]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    _Alignas(64) float sums[864];
    float column_sums[24] = {0};
    int64_t step = 0;
    const int64_t end = N;
    do {
        const int64_t depth = tg_smaller(end - step, 256);
        tg_column_sums_f32x24(b + step * 24, 24, depth, 24, column_sums);
        const float *left = a + step * 36;
        for (int64_t group = 0; group < 36; group += 32) {
            const int64_t group_end = tg_smaller(group + 32, 36);
            float *group_sums = end > 256 ? sums + group * 24 : sums;
            for (int64_t panel = 0; panel < 24; panel += 24) {
                const float *right = b + step * 24 + panel;
                const int64_t right_step = 24;
                float *panel_sums = group_sums + panel;
                int64_t r = group;
                for (; r + 4 <= group_end; r += 4)
                    tg_tile_f32_4x24_stride1(left + r, 36, 0, right, right_step, 0,
                        1, depth, panel_sums + (r - group) * 24, 24, step > 0);
            }
            if (step + depth == end)
                k08_matmul_sum_applyadam_finish(s, chunk, group_sums, group, group_end);
        }
        step += depth;
    } while (step < end);
    {
        const float *sum = column_sums;
        #pragma GCC ivdep
        for (int64_t column = 0; column < 24; ++column) {
            const float acc = sum[column];
            const float new_biases_adam = adam[column] + (acc - adam[column]) * (1.0f - beta1_1); /* Adam/update_biases/ApplyAdam */
            const float new_biases_adam_1 = adam_1[column] + (acc * acc - adam_1[column]) * (1.0f - beta2_1); /* Adam/update_biases/ApplyAdam */
            const float new_biases = biases[column] - new_biases_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_biases_adam_1) + epsilon_1); /* Adam/update_biases/ApplyAdam */
            biases[column] = new_biases;
            adam[column] = new_biases_adam;
            adam_1[column] = new_biases_adam_1;
        }
    }
}

/*
 * Adam/mul -> Adam/mul_1 -> Adam/Assign -> Adam/Assign_1
 * pointwise, float32 []
 */
void k09_mul_assign(const tg_step *s, int64_t chunk)
{
    float *restrict beta1_power = (float *)(s->variables[8]);
    const float *restrict beta1 = (const float *)(s->constants[2]);
    float *restrict beta2_power = (float *)(s->variables[9]);
    const float *restrict beta2 = (const float *)(s->constants[3]);
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    (void)chunk;
    {
        const float mul = beta1_power[0] * beta1_1; /* Adam/mul */
        const float mul_1 = beta2_power[0] * beta2_1; /* Adam/mul_1 */
        const float new_beta1_power = mul; /* Adam/Assign */
        beta1_power[0] = new_beta1_power;
        const float new_beta2_power = mul_1; /* Adam/Assign_1 */
        beta2_power[0] = new_beta2_power;
    }
}

/* Kernels 5 to 6 touch nothing of each other: their chunks are handed out together. */
static void k05_to_k06(const tg_step *s, int64_t chunk)
{
    const int64_t N = s->N;
    const int64_t end1 = (N + 127) / 128;
    if (chunk < end1)
        k06_matmul_relugrad(s, chunk);
    else
        k05_matmul_applyadam(s, chunk - end1);
}

/* Kernels 7 to 8 touch nothing of each other: their chunks are handed out together. */
static void k07_to_k08(const tg_step *s, int64_t chunk)
{
    const int64_t end1 = 1;
    if (chunk < end1)
        k08_matmul_sum_applyadam(s, chunk);
    else
        k07_matmul_sum_applyadam(s, chunk - end1);
}

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_matmul_add_relu},
    {1, 1, k01_matmul_add_relu},
    {2, 2, k02_matmul_add},
    {3, 3, k03_rows_sub_exp_sum_parts},
    {3, 3, k03_rows_sub_exp_sum},
    {4, 4, k04_matmul_relugrad},
    {5, 6, k05_to_k06},
    {5, 5, k05_matmul_applyadam},
    {6, 6, k06_matmul_relugrad},
    {7, 8, k07_to_k08},
    {7, 7, k07_matmul_sum_applyadam},
    {8, 8, k08_matmul_sum_applyadam},
    {9, 9, k09_mul_assign},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        (N + 127) / 128,
        (N + 127) / 128,
        (N + 131) / 132,
        tg_parts(N, 546, 64),
        1,
        (N + 127) / 128,
        (N + 127) / 128 + 1,
        1,
        (N + 127) / 128,
        1 + 1,
        1,
        1,
        tg_chunks(1, 16384),
    };
    int64_t next = first;                          /* kernels before it are done: they were run together */
    (void)N;
    s->failed = 0;
    for (int64_t i = 0; i < 13 && !s->failed; ++i) {
        const bool joined = tg_launches[i].first < tg_launches[i].last;
        if (tg_launches[i].first < (joined ? first : next) || tg_launches[i].last >= last)
            continue;
        tg_launch(s, tg_launches[i].function, chunks[i]);
        if (joined)
            next = tg_launches[i].last + 1;
    }
    return s->failed;
}
