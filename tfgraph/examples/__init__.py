"""Programs to run and to read: `python -m tfgraph.examples.digits`, `...mnist`, `...keypoints`, `...convnet128`.

Each trains a net, shows a progress bar, reports a figure on held-out data and leaves its pictures as PNG files.
They need the extra `examples` (matplotlib and scikit-learn). The folder `programs` has programs in C and other languages
that train the exported MNIST net.
"""
