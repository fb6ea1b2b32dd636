/*
 * Trains LeNet on MNIST's four IDX files (unpacked), with the library that `python -m tfgraph.examples.mnist --export` wrote.
 *
 *     cc -O2 -I.. train_mnist.c idx.c -L.. -l:libmnist.a -lm -pthread -o train_mnist
 *     ./train_mnist DATA --epochs 5 --save mnist.safetensors --every 100
 *     ./train_mnist DATA --epochs 5 --save mnist.safetensors --every 100 --resume mnist.safetensors
 *
 * Which digits a step trains on depends on the seed and the step's number alone, and a checkpoint holds everything else:
 * a run that is killed and resumed ends with the same weights as one that is not, to the last bit.
 */
#include "idx.h"
#include "mnist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEST_BATCH = 500 };

typedef struct {
    const char *data, *save, *resume;
    int64_t epochs, batch, every, show, threads, seed;
    double learning_rate, keep_prob;
} options;

/* A digit's place in the order of an epoch, which is sorted by key. */
typedef struct {
    uint64_t key;
    int64_t row;
} place;

static void check(int status, const char *what)
{
    if (status != MNIST_OK) {
        fprintf(stderr, "%s: %s\n", what, mnist_error_string(status));
        exit(1);
    }
}

static void *allocate(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory) {
        check(MNIST_OUT_OF_MEMORY, "allocation");
    }
    return memory;
}

/* A one-to-one scrambling of 64 bits, that of the generator SplitMix64. */
static uint64_t mix(uint64_t number)
{
    number += UINT64_C(0x9E3779B97F4A7C15);
    number = (number ^ number >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ number >> 27) * UINT64_C(0x94D049BB133111EB);
    return number ^ number >> 31;
}

static int by_key(const void *left, const void *right)
{
    const place *a = left, *b = right;
    return a->key != b->key ? (a->key > b->key) - (a->key < b->key) : (a->row > b->row) - (a->row < b->row);
}

/* Puts the rows of an epoch in a random order that depends on the seed and the epoch alone. */
static void shuffle(place *order, int64_t rows, uint64_t seed, uint64_t epoch)
{
    const uint64_t key = mix(mix(seed) + epoch);
    for (int64_t row = 0; row < rows; ++row) {
        order[row] = (place){mix(key + (uint64_t)row), row};
    }
    qsort(order, (size_t)rows, sizeof *order, by_key);
}

/* The share of digits that are guessed right. */
static double share_right(mnist *model, const digits *test)
{
    static int32_t guesses[TEST_BATCH];
    static float probabilities[TEST_BATCH * 10];
    int64_t right = 0;
    for (int64_t first = 0; first < test->count; first += TEST_BATCH) {
        const int64_t batch = test->count - first < TEST_BATCH ? test->count - first : TEST_BATCH;
        check(mnist_predict(model, batch, test->images + first * PIXELS, guesses, probabilities), "predict");
        for (int64_t i = 0; i < batch; ++i) {
            right += guesses[i] == test->labels[first + i];
        }
    }
    return (double)right / (double)test->count;
}

/* Trains on the digits of one epoch from step `first` on; the result is the number of steps done since the very beginning. */
static int64_t train_epoch(mnist *model, const digits *training, const place *order, int64_t first, int64_t done, const options *o)
{
    uint8_t *images = allocate(o->batch * PIXELS, 1), *labels = allocate(o->batch, 1);
    for (int64_t start = first * o->batch; start < training->count; start += o->batch) {
        const int64_t batch = training->count - start < o->batch ? training->count - start : o->batch;
        for (int64_t i = 0; i < batch; ++i) {
            const int64_t row = order[start + i].row;
            memcpy(images + i * PIXELS, training->images + row * PIXELS, PIXELS);
            labels[i] = training->labels[row];
        }
        float loss = 0;
        check(mnist_train_step(model, batch, images, labels, (float)o->learning_rate, (float)o->keep_prob, &loss), "train_step");
        ++done;
        if (done % o->show == 0) {
            printf("step %6" PRId64 "  loss %.9g\n", done, (double)loss);
            fflush(stdout);
        }
        if (o->save && o->every && done % o->every == 0) {
            check(mnist_save(model, o->save), o->save);
        }
    }
    free(images);
    free(labels);
    return done;
}

static void train(mnist *model, const digits *training, const digits *test, const options *o)
{
    const int64_t steps = (training->count + o->batch - 1) / o->batch;
    place *order = allocate(training->count, sizeof *order);
    int64_t done = 0;
    check(mnist_steps_done(model, 1, &done), "steps_done");
    for (int64_t epoch = done / steps; epoch < o->epochs; ++epoch) {
        shuffle(order, training->count, (uint64_t)o->seed, (uint64_t)epoch);
        done = train_epoch(model, training, order, done % steps, done, o);
        printf("epoch %" PRId64 "/%" PRId64 "  test accuracy %.2f%%\n", epoch + 1, o->epochs, 100 * share_right(model, test));
        fflush(stdout);
    }
    free(order);
    if (o->save) {
        check(mnist_save(model, o->save), o->save);
    }
}

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s DATA [--epochs N] [--batch N] [--learning-rate RATE] [--keep-prob P] [--seed N] [--threads N]\n"
            "       [--show STEPS] [--save FILE] [--every STEPS] [--resume FILE]\n",
            program);
    exit(2);
}

static options parse(int count, char **arguments)
{
    options o = {.epochs = 5, .batch = 128, .show = 100, .seed = 1, .learning_rate = 1e-3, .keep_prob = 0.75};
    const struct {
        const char *name;
        const char **text;
        int64_t *integer, least;
        double *real;
    } table[] = {
        {"--save", &o.save, NULL, 0, NULL},
        {"--resume", &o.resume, NULL, 0, NULL},
        {"--epochs", NULL, &o.epochs, 0, NULL},
        {"--batch", NULL, &o.batch, 1, NULL},
        {"--every", NULL, &o.every, 0, NULL},
        {"--show", NULL, &o.show, 1, NULL},
        {"--threads", NULL, &o.threads, 1, NULL},
        {"--seed", NULL, &o.seed, 0, NULL},
        {"--learning-rate", NULL, NULL, 0, &o.learning_rate},
        {"--keep-prob", NULL, NULL, 0, &o.keep_prob},
    };
    if (count < 2 || count % 2) {
        usage(arguments[0]);
    }
    o.data = arguments[1];
    for (int i = 2; i < count; i += 2) {
        size_t row = 0;
        while (row < sizeof table / sizeof *table && strcmp(arguments[i], table[row].name) != 0) {
            ++row;
        }
        if (row == sizeof table / sizeof *table) {
            usage(arguments[0]);
        }
        char *end = "";
        if (table[row].text) {
            *table[row].text = arguments[i + 1];
        } else if (table[row].integer) {
            *table[row].integer = strtoll(arguments[i + 1], &end, 10);
        } else {
            *table[row].real = strtod(arguments[i + 1], &end);
        }
        if (*end || (table[row].integer && *table[row].integer < table[row].least)) {
            usage(arguments[0]);
        }
    }
    return o;
}

int main(int count, char **arguments)
{
    const options o = parse(count, arguments);
    digits training = read_digits(o.data, "train"), test = read_digits(o.data, "t10k");
    mnist *model = mnist_create();
    if (!model) {
        check(MNIST_OUT_OF_MEMORY, "create");
    }
    if (o.threads) { /* otherwise as many as there are processors */
        check(mnist_set_threads(model, (int32_t)o.threads), "set_threads");
    }
    if (o.resume) {
        check(mnist_load(model, o.resume), o.resume);
    } else {
        check(mnist_initialize(model, (uint64_t)o.seed), "initialize");
    }
    printf("%" PRId64 " digits to train on, %" PRId64 " to test\n", training.count, test.count);
    train(model, &training, &test, &o);
    mnist_destroy(model);
    free_digits(&training);
    free_digits(&test);
    return 0;
}
