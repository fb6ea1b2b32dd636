/* Handwritten digits in MNIST's IDX files: bytes, with the sizes in front as big-endian 32-bit numbers. */
#ifndef IDX_H
#define IDX_H

#include <stdint.h>

enum { PIXELS = 28 * 28 };

typedef struct {
    int64_t count;
    uint8_t *images; /* count x 28 x 28 */
    uint8_t *labels; /* count, 0 to 9 */
} digits;

/* Reads FOLDER/SET-images-idx3-ubyte and FOLDER/SET-labels-idx1-ubyte; a file that is not what it should be ends the program. */
digits read_digits(const char *folder, const char *set);
void free_digits(digits *read);

#endif
