/*
 * Adam/update_v/ApplyAdam
 * pointwise, float32 [30, 7]
 */
static void k00_applyadam(const tg_step *s, int64_t chunk)
{
    float *restrict v = (float *)(s->variables[0]);
    float *restrict adam = (float *)(s->variables[1]);
    float *restrict adam_1 = (float *)(s->variables[2]);
    const float *restrict beta1_power = (const float *)(s->variables[3]);
    const float *restrict beta2_power = (const float *)(s->variables[4]);
    const float *restrict learning_rate = (const float *)(s->constants[0]);
    const float *restrict beta1 = (const float *)(s->constants[1]);
    const float *restrict beta2 = (const float *)(s->constants[2]);
    const float *restrict epsilon = (const float *)(s->constants[3]);
    const float *restrict gradient = (const float *)(s->feeds[0]);
    const float beta1_power_1 = beta1_power[0];
    const float beta2_power_1 = beta2_power[0];
    const float learning_rate_1 = learning_rate[0];
    const float beta1_1 = beta1[0];
    const float beta2_1 = beta2[0];
    const float epsilon_1 = epsilon[0];
    const int64_t last = tg_least((chunk + 1) * 16384, 210);
    for (int64_t i = chunk * 16384; i < last; ++i) {
        const float new_v_adam = adam[i] + (gradient[i] - adam[i]) * (1.0f - beta1_1); /* Adam/update_v/ApplyAdam */
        const float new_v_adam_1 = adam_1[i] + (gradient[i] * gradient[i] - adam_1[i]) * (1.0f - beta2_1); /* Adam/update_v/ApplyAdam */
        const float new_v = v[i] - new_v_adam * (learning_rate_1 * tg_sqrt_f32(1.0f - beta2_power_1) / (1.0f - beta1_power_1)) / (tg_sqrt_f32(new_v_adam_1) + epsilon_1); /* Adam/update_v/ApplyAdam */
        v[i] = new_v;
        adam[i] = new_v_adam;
        adam_1[i] = new_v_adam_1;
    }
}

/*
 * Adam/mul -> Adam/mul_1 -> Adam/Assign -> Adam/Assign_1
 * pointwise, float32 []
 */
static void k01_mul_assign(const tg_step *s, int64_t chunk)
{
    float *restrict beta1_power = (float *)(s->variables[3]);
    const float *restrict beta1 = (const float *)(s->constants[1]);
    float *restrict beta2_power = (float *)(s->variables[4]);
    const float *restrict beta2 = (const float *)(s->constants[2]);
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

__attribute__((visibility("default"))) int64_t tg_run(tg_step *s, int64_t first, int64_t last);

/* Which kernels a launch runs: one of them or, where it comes before theirs, several that need nothing of each other. */
static const struct {
    int64_t first, last;
    tg_kernel function;
} tg_launches[] = {
    {0, 0, k00_applyadam},
    {1, 1, k01_mul_assign},
};

/* Runs kernels first .. last-1 on the calling thread and the pool's; returns s->failed. */
int64_t tg_run(tg_step *s, int64_t first, int64_t last)
{
    const int64_t N = s->N;
    const int64_t chunks[] = {
        tg_chunks(210, 16384),
        tg_chunks(1, 16384),
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
