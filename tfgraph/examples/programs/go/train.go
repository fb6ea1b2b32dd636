// Trains the exported MNIST net from Go and prints every loss.
//
//	CGO_CFLAGS=-I$PWD/../.. CGO_LDFLAGS=-L$PWD/../.. go build train.go
//	LD_LIBRARY_PATH=../.. ./train DATA 20        # DATA: a folder with MNIST's unpacked IDX files; 20 steps
package main

// #cgo LDFLAGS: -lmnist
// #include "mnist.h"
import "C"

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
)

const (
	pixels = 28 * 28
	batch  = 32
)

func check(status C.int) {
	if status != C.MNIST_OK {
		log.Fatal(C.GoString(C.mnist_error_string(status)))
	}
}

// read returns what follows the header of a file of the folder.
func read(name string, header int) []byte {
	content, err := os.ReadFile(filepath.Join(os.Args[1], name))
	if err != nil || len(content) < header {
		log.Fatalf("cannot read %s: %v", name, err)
	}
	return content[header:]
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: train DATA STEPS")
	}
	images, labels := read("train-images-idx3-ubyte", 16), read("train-labels-idx1-ubyte", 8)
	steps, err := strconv.Atoi(os.Args[2])
	if err != nil || len(labels) < batch {
		log.Fatalf("too few digits, or no number of steps: %v", err)
	}

	model := C.mnist_create()
	defer C.mnist_destroy(model)
	check(C.mnist_initialize(model, 1))
	for step := 0; step < steps; step++ {
		first := step % (len(labels) / batch) * batch
		x, y := (*C.uint8_t)(&images[first*pixels]), (*C.uint8_t)(&labels[first])
		var loss C.float
		check(C.mnist_train_step(model, batch, x, y, 1e-3, 0.75, &loss))
		fmt.Printf("%.9g\n", float32(loss))
	}

	var guesses [batch]C.int32_t
	var probabilities [batch * 10]C.float
	check(C.mnist_predict(model, batch, (*C.uint8_t)(&images[0]), &guesses[0], &probabilities[0]))
	right := 0
	for i, guess := range guesses {
		if byte(guess) == labels[i] {
			right++
		}
	}
	fmt.Printf("%d of %d right\n", right, batch)
}
