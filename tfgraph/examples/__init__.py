"""Programs to run and to read: `python -m tfgraph.examples.digits`, `...keypoints`, `...convnet128`.

Each trains a net, shows a progress bar, reports a figure on held-out data and leaves its pictures as PNG files.
They need the extra `examples` (matplotlib and scikit-learn).
"""
