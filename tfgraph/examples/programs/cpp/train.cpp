// Trains the exported MNIST net from C++17 and prints every loss.
//
//     c++ -std=c++17 -O2 -I../.. train.cpp -L../.. -lmnist -o train
//     LD_LIBRARY_PATH=../.. ./train DATA 20        # DATA: a folder with MNIST's unpacked IDX files; 20 steps
#include "mnist.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kPixels = 28 * 28, kBatch = 32;

struct Destroy {
    void operator()(mnist *model) const { mnist_destroy(model); }
};

void check(int status)
{
    if (status != MNIST_OK)
        throw std::runtime_error(mnist_error_string(status));
}

Bytes read(const std::string &path, std::size_t header)
{
    std::ifstream file(path, std::ios::binary);
    if (!file.ignore(static_cast<std::streamsize>(header)))
        throw std::runtime_error("cannot read " + path);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

int main(int count, char **arguments)
try {
    if (count != 3)
        throw std::runtime_error("usage: train DATA STEPS");
    const std::string folder = arguments[1];
    const Bytes images = read(folder + "/train-images-idx3-ubyte", 16), labels = read(folder + "/train-labels-idx1-ubyte", 8);
    const std::size_t batches = labels.size() / kBatch, steps = std::stoul(arguments[2]);
    if (batches == 0)
        throw std::runtime_error("too few digits in " + folder);

    const std::unique_ptr<mnist, Destroy> model(mnist_create());
    check(mnist_initialize(model.get(), 1));
    for (std::size_t step = 0; step < steps; ++step) {
        const std::size_t first = step % batches * kBatch;
        float loss = 0;
        check(mnist_train_step(model.get(), kBatch, &images[first * kPixels], &labels[first], 1e-3f, 0.75f, &loss));
        std::printf("%.9g\n", loss);
    }

    std::vector<std::int32_t> guesses(kBatch);
    std::vector<float> probabilities(kBatch * 10);
    check(mnist_predict(model.get(), kBatch, images.data(), guesses.data(), probabilities.data()));
    std::size_t right = 0;
    for (std::size_t i = 0; i < kBatch; ++i)
        right += guesses[i] == labels[i];
    std::printf("%zu of %zu right\n", right, kBatch);
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
}
