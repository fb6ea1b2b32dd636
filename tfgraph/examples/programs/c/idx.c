#include "idx.h"

#include <stdio.h>
#include <stdlib.h>

static void fail(const char *path, const char *reason)
{
    fprintf(stderr, "%s: %s\n", path, reason);
    exit(1);
}

static uint32_t next_number(FILE *file)
{
    uint8_t bytes[4] = {0};
    const size_t got = fread(bytes, 1, sizeof bytes, file);
    return got < sizeof bytes ? 0 : (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* The bytes of an IDX file whose items have the given rank and size; *count becomes the number of items. */
static uint8_t *read_idx(const char *folder, const char *set, const char *what, uint32_t rank, const uint32_t *sizes, int64_t *count)
{
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s/%s-%s-idx%u-ubyte", folder, set, what, (unsigned)rank + 1);
    FILE *file = length < (int)sizeof path ? fopen(path, "rb") : NULL;
    if (!file) {
        fail(path, "cannot open");
    }
    if (next_number(file) != (0x08u << 8 | (rank + 1))) { /* 0x08: unsigned bytes */
        fail(path, "not an IDX file of bytes of the right rank");
    }
    *count = next_number(file);
    size_t bytes = (size_t)*count;
    for (uint32_t i = 0; i < rank; ++i) {
        if (next_number(file) != sizes[i]) {
            fail(path, "images of another size");
        }
        bytes *= sizes[i];
    }
    uint8_t *data = bytes ? malloc(bytes) : NULL;
    if (!data || fread(data, 1, bytes, file) != bytes || fgetc(file) != EOF) {
        fail(path, "empty, cut off, or longer than it says");
    }
    fclose(file);
    return data;
}

digits read_digits(const char *folder, const char *set)
{
    const uint32_t sizes[] = {28, 28};
    digits read;
    int64_t labels = 0;
    read.images = read_idx(folder, set, "images", 2, sizes, &read.count);
    read.labels = read_idx(folder, set, "labels", 0, sizes, &labels);
    if (labels != read.count) {
        fail(folder, "not as many labels as images");
    }
    return read;
}

void free_digits(digits *read)
{
    free(read->images);
    free(read->labels);
}
