"""This package under TensorFlow's name: for scripts and libraries that say `import tensorflow`.

`modules` puts tfgraph's modules in the place of TensorFlow's, `names` knows what TensorFlow 1.14 calls its public things,
`era` has the names that Python and NumPy have dropped since.
"""
