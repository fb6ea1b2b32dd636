/*
 * Trains the exported model for ten steps and prints the losses. After five of them it saves, and another instance loads the
 * file and takes the other five: both must end at the same loss. Data are the numbers of a linear congruential generator,
 * which tests/test_targets.py computes too.
 */
#include "trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, PIXELS = 12 * 12, CLASSES = 10, STEPS = 10 };

static uint32_t state = 1;

static uint32_t next(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void check(int status)
{
    if (status == TRAINER_OK)
        return;
    fprintf(stderr, "%s\n", trainer_error_string(status));
    exit(2);
}

static void draw(float *images, float *labels)
{
    for (int i = 0; i < BATCH * PIXELS; ++i)
        images[i] = (float)next() / 16777216.0f;
    memset(labels, 0, BATCH * CLASSES * sizeof *labels);
    for (int i = 0; i < BATCH; ++i)
        labels[i * CLASSES + (int)(next() % CLASSES)] = 1.0f;
}

int main(int argc, char **argv)
{
    static float images[BATCH * PIXELS], labels[BATCH * CLASSES];
    const char *file = argc > 1 ? argv[1] : "state.safetensors";
    trainer *model = trainer_create(), *other = trainer_create();
    float loss = 0.0f, resumed = 0.0f;
    if (model == NULL || other == NULL)
        return 3;
    check(trainer_set_threads(model, 2));
    check(trainer_set_threads(other, 1));
    check(trainer_initialize(model, 0));
    printf("%s\n", trainer_isa());
    for (int step = 0; step < STEPS; ++step) {
        if (step == STEPS / 2) {
            check(trainer_save(model, file));
            check(trainer_load(other, file));
        }
        draw(images, labels);
        check(trainer_train_step(model, BATCH, images, labels, &loss));
        if (step >= STEPS / 2)
            check(trainer_train_step(other, BATCH, images, labels, &resumed));
        printf("%.9g\n", (double)loss);
    }
    trainer_destroy(model);
    trainer_destroy(other);
    return memcmp(&loss, &resumed, sizeof loss) == 0 ? 0 : 4;
}
