"""Files with the values of variables: TensorFlow's checkpoints (format V2) and safetensors, read and written in NumPy.

`bundle` is TensorFlow's format: an index, which is a sorted `table` of `entries`, and a data file, all under `crc32c`.
`model` adds the states of random operations to a `safetensors` file, which exported C shares.
`reader` opens either format. Files are taken to come from strangers: every size, offset and checksum is checked before it is
used, and what is wrong with a file is told as one of `tf.errors`.
"""
