// Trains the exported MNIST net from Rust and prints every loss.
//
//     rustc -O -L ../.. -l mnist train.rs
//     LD_LIBRARY_PATH=../.. ./train DATA 20        # DATA: a folder with MNIST's unpacked IDX files; 20 steps
use std::ffi::CStr;
use std::os::raw::{c_char, c_int};

const PIXELS: usize = 28 * 28;
const BATCH: usize = 32;

extern "C" {
    fn mnist_create() -> *mut Model;
    fn mnist_destroy(model: *mut Model);
    fn mnist_initialize(model: *mut Model, seed: u64) -> c_int;
    fn mnist_error_string(status: c_int) -> *const c_char;
    fn mnist_train_step(
        model: *mut Model, batch: i64, images: *const u8, labels: *const u8, learning_rate: f32, keep_prob: f32, loss: *mut f32,
    ) -> c_int;
    fn mnist_predict(model: *mut Model, batch: i64, images: *const u8, guesses: *mut i32, probabilities: *mut f32) -> c_int;
}

#[repr(C)]
struct Model {
    _private: [u8; 0],
}

struct Net(*mut Model);

impl Drop for Net {
    fn drop(&mut self) {
        unsafe { mnist_destroy(self.0) }
    }
}

fn check(status: c_int) -> Result<(), String> {
    let text = || unsafe { CStr::from_ptr(mnist_error_string(status)) }.to_string_lossy().into_owned();
    if status == 0 { Ok(()) } else { Err(text()) }
}

impl Net {
    fn new(seed: u64) -> Result<Net, String> {
        let net = Net(unsafe { mnist_create() });
        check(unsafe { mnist_initialize(net.0, seed) })?;
        Ok(net)
    }

    fn train_step(&mut self, images: &[u8], labels: &[u8], learning_rate: f32, keep_prob: f32) -> Result<f32, String> {
        assert_eq!(images.len(), labels.len() * PIXELS);
        let mut loss = 0.0;
        let (batch, x, y) = (labels.len() as i64, images.as_ptr(), labels.as_ptr());
        check(unsafe { mnist_train_step(self.0, batch, x, y, learning_rate, keep_prob, &mut loss) })?;
        Ok(loss)
    }

    fn predict(&mut self, images: &[u8]) -> Result<Vec<i32>, String> {
        let batch = images.len() / PIXELS;
        let (mut guesses, mut probabilities) = (vec![0; batch], vec![0.0; batch * 10]);
        check(unsafe { mnist_predict(self.0, batch as i64, images.as_ptr(), guesses.as_mut_ptr(), probabilities.as_mut_ptr()) })?;
        Ok(guesses)
    }
}

fn read(folder: &str, name: &str, header: usize) -> Result<Vec<u8>, String> {
    let content = std::fs::read(format!("{folder}/{name}")).map_err(|error| format!("{name}: {error}"))?;
    content.get(header..).map(<[u8]>::to_vec).ok_or(format!("{name}: cut off"))
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, steps] = arguments.as_slice() else { return Err("usage: train DATA STEPS".into()) };
    let images = read(folder, "train-images-idx3-ubyte", 16)?;
    let labels = read(folder, "train-labels-idx1-ubyte", 8)?;
    let steps: usize = steps.parse().map_err(|_| "STEPS is no number")?;

    let mut net = Net::new(1)?;
    for (x, y) in images.chunks_exact(BATCH * PIXELS).zip(labels.chunks_exact(BATCH)).cycle().take(steps) {
        println!("{}", net.train_step(x, y, 1e-3, 0.75)?);
    }
    let guesses = net.predict(&images[..BATCH * PIXELS])?;
    let right = guesses.iter().zip(&labels).filter(|(guess, label)| **guess == i32::from(**label)).count();
    println!("{right} of {BATCH} right");
    Ok(())
}
