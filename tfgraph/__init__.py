"""TensorFlow 1.x graphs, compiled: `import tfgraph as tf`."""
