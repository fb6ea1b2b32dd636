/* The native methods of Train.java: arrays are lent to the library for one call, errors become Java exceptions. */
#include "Train.h"
#include "mnist.h"

#include <stdlib.h>

enum { PIXELS = 28 * 28, CLASSES = 10 };

static void raise(JNIEnv *java, int status)
{
    if (status != MNIST_OK && !(*java)->ExceptionCheck(java)) {
        (*java)->ThrowNew(java, (*java)->FindClass(java, "java/lang/IllegalStateException"), mnist_error_string(status));
    }
}

JNIEXPORT jlong JNICALL Java_Train_create(JNIEnv *java, jclass class, jlong seed)
{
    (void)class;
    mnist *model = mnist_create();
    raise(java, model ? mnist_initialize(model, (uint64_t)seed) : MNIST_OUT_OF_MEMORY);
    return (jlong)(intptr_t)model;
}

JNIEXPORT void JNICALL Java_Train_destroy(JNIEnv *java, jclass class, jlong model)
{
    (void)java, (void)class;
    mnist_destroy((mnist *)(intptr_t)model);
}

/* Whether digits first to first + batch are in the array, `bytes` to each. */
static int holds(JNIEnv *java, jbyteArray array, jint first, jint batch, jint bytes)
{
    return first >= 0 && batch >= 0 && (int64_t)(*java)->GetArrayLength(java, array) >= ((int64_t)first + batch) * bytes;
}

JNIEXPORT jfloat JNICALL Java_Train_trainStep(JNIEnv *java, jclass class, jlong model, jint first, jint batch, jbyteArray images,
                                              jbyteArray labels, jfloat learning_rate, jfloat keep_prob)
{
    (void)class;
    if (!holds(java, images, first, batch, PIXELS) || !holds(java, labels, first, batch, 1)) {
        raise(java, MNIST_BAD_BATCH);
        return 0;
    }
    jbyte *x = (*java)->GetByteArrayElements(java, images, NULL), *y = (*java)->GetByteArrayElements(java, labels, NULL);
    float loss = 0;
    int status = MNIST_OUT_OF_MEMORY;
    if (x && y) {
        status = mnist_train_step((mnist *)(intptr_t)model, batch, (uint8_t *)x + (int64_t)first * PIXELS, (uint8_t *)y + first,
                                  learning_rate, keep_prob, &loss);
    }
    if (x) {
        (*java)->ReleaseByteArrayElements(java, images, x, JNI_ABORT); /* nothing to copy back */
    }
    if (y) {
        (*java)->ReleaseByteArrayElements(java, labels, y, JNI_ABORT);
    }
    raise(java, status);
    return loss;
}

JNIEXPORT jintArray JNICALL Java_Train_predict(JNIEnv *java, jclass class, jlong model, jint batch, jbyteArray images)
{
    (void)class;
    if (!holds(java, images, 0, batch, PIXELS)) {
        raise(java, MNIST_BAD_BATCH);
        return NULL;
    }
    jintArray guesses = (*java)->NewIntArray(java, batch);
    float *probabilities = malloc(((size_t)batch * CLASSES + 1) * sizeof *probabilities);
    jbyte *x = (*java)->GetByteArrayElements(java, images, NULL);
    jint *guess = guesses ? (*java)->GetIntArrayElements(java, guesses, NULL) : NULL;
    int status = MNIST_OUT_OF_MEMORY;
    if (x && guess && probabilities) {
        status = mnist_predict((mnist *)(intptr_t)model, batch, (uint8_t *)x, guess, probabilities);
    }
    if (guess) {
        (*java)->ReleaseIntArrayElements(java, guesses, guess, 0);
    }
    if (x) {
        (*java)->ReleaseByteArrayElements(java, images, x, JNI_ABORT);
    }
    free(probabilities);
    raise(java, status);
    return guesses;
}
