"""`tf.layers`: layers that make their own variables, as functions and as classes."""

from ..aliases.names import missing_from
from .base import Layer
from .convolutional import Conv2D, Conv2DTranspose, conv2d, conv2d_transpose
from .core import Dense, Dropout, Flatten, dense, dropout, flatten
from .normalization import BatchNormalization, batch_normalization
from .pooling import AveragePooling2D, MaxPooling2D, average_pooling2d, max_pooling2d
from .separable import SeparableConv2D, separable_conv2d
from .sequences import AveragePooling1D, Conv1D, MaxPooling1D, average_pooling1d, conv1d, max_pooling1d

__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "BatchNormalization",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Flatten",
    "Layer",
    "MaxPooling1D",
    "MaxPooling2D",
    "SeparableConv2D",
    "average_pooling1d",
    "average_pooling2d",
    "batch_normalization",
    "conv1d",
    "conv2d",
    "conv2d_transpose",
    "dense",
    "dropout",
    "flatten",
    "max_pooling1d",
    "max_pooling2d",
    "separable_conv2d",
]

__getattr__ = missing_from(__name__, __all__)
