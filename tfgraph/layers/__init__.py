"""`tf.layers`: layers that make their own variables, as functions and as classes."""

from ..aliases.names import missing_from
from .base import Layer
from .convolutional import Conv2D, Conv2DTranspose, conv2d, conv2d_transpose
from .core import Dense, Dropout, Flatten, dense, dropout, flatten
from .normalization import BatchNormalization, batch_normalization
from .pooling import AveragePooling2D, MaxPooling2D, average_pooling2d, max_pooling2d

__all__ = [
    "AveragePooling2D",
    "BatchNormalization",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "MaxPooling2D",
    "average_pooling2d",
    "batch_normalization",
    "conv2d",
    "conv2d_transpose",
    "dense",
    "dropout",
    "flatten",
    "max_pooling2d",
]

__getattr__ = missing_from(__name__, __all__)
