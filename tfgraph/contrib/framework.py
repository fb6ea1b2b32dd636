"""`tf.contrib.framework`: the global step and nested structures under their older names."""

from .. import nest
from ..aliases.names import missing_from
from ..global_step import create_global_step, get_global_step, get_or_create_global_step

__all__ = ["create_global_step", "get_global_step", "get_or_create_global_step", "nest"]

__getattr__ = missing_from(__name__, __all__)
