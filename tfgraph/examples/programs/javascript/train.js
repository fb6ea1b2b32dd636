// Trains the exported MNIST net as WebAssembly under Node.js and prints every loss.
//
//     python -m tfgraph.examples.mnist --epochs 0 --export wasm --target wasm32      # needs the package ziglang
//     node train.js wasm/mnist.wasm DATA 20        # DATA: a folder with MNIST's unpacked IDX files; 20 steps
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { WASI } = require("node:wasi");

const PIXELS = 28 * 28;
const BATCH = 32;

async function load(file) {
    const wasi = new WASI({ version: "preview1" });
    const { instance } = await WebAssembly.instantiate(fs.readFileSync(file), wasi.getImportObject());
    wasi.initialize(instance);
    return instance.exports;
}

async function main([file, data, steps]) {
    const images = fs.readFileSync(path.join(data, "train-images-idx3-ubyte")).subarray(16);
    const labels = fs.readFileSync(path.join(data, "train-labels-idx1-ubyte")).subarray(8);
    const net = await load(file);

    const check = (status) => {
        if (status === 0) return;
        const text = new Uint8Array(net.memory.buffer, net.mnist_error_string(status));
        throw new Error(Buffer.from(text.subarray(0, text.indexOf(0))).toString());
    };
    // memory.buffer is another one whenever the memory has grown, so it is looked up for every copy
    const write = (address, bytes) => new Uint8Array(net.memory.buffer, address, bytes.length).set(bytes);

    const model = net.mnist_create();
    const [x, y] = [net.malloc(BATCH * PIXELS), net.malloc(BATCH)];
    const [loss, guesses, probabilities] = [net.malloc(4), net.malloc(BATCH * 4), net.malloc(BATCH * 10 * 4)];
    check(net.mnist_initialize(model, 1n));
    const batches = Math.floor(labels.length / BATCH);
    for (let step = 0; step < Number(steps); ++step) {
        const first = (step % batches) * BATCH;
        write(x, images.subarray(first * PIXELS, (first + BATCH) * PIXELS));
        write(y, labels.subarray(first, first + BATCH));
        check(net.mnist_train_step(model, BigInt(BATCH), x, y, 1e-3, 0.75, loss));
        console.log(new Float32Array(net.memory.buffer, loss, 1)[0]);
    }

    write(x, images.subarray(0, BATCH * PIXELS));
    check(net.mnist_predict(model, BigInt(BATCH), x, guesses, probabilities));
    const right = new Int32Array(net.memory.buffer, guesses, BATCH).filter((guess, i) => guess === labels[i]).length;
    console.log(`${right} of ${BATCH} right`);
    net.mnist_destroy(model);
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
});
