"""`tf.train`: optimizers, learning-rate schedules, the global step, moving averages, checkpoints."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .aliases.names import missing_from
from .checkpoint.reader import (
    NewCheckpointReader,
    checkpoint_exists,
    get_checkpoint_mtimes,
    get_checkpoint_state,
    latest_checkpoint,
    list_variables,
    load_checkpoint,
    load_variable,
    update_checkpoint_state,
)
from .global_step import (
    assert_global_step,
    create_global_step,
    get_global_step,
    get_or_create_global_step,
    global_step,
)
from .learning_rate import (
    cosine_decay,
    cosine_decay_restarts,
    exponential_decay,
    inverse_time_decay,
    linear_cosine_decay,
    natural_exp_decay,
    piecewise_constant,
    piecewise_constant_decay,
    polynomial_decay,
)
from .meta_graph import export_meta_graph, import_meta_graph, write_graph
from .moving_averages import ExponentialMovingAverage
from .optimizer import Optimizer
from .optimizers import (
    AdadeltaOptimizer,
    AdagradDAOptimizer,
    AdagradOptimizer,
    AdamOptimizer,
    FtrlOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    ProximalAdagradOptimizer,
    ProximalGradientDescentOptimizer,
    RMSPropOptimizer,
)
from .saver import Saver, SaverDef

__all__ = [
    "AdadeltaOptimizer",
    "AdagradDAOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "ExponentialMovingAverage",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "NewCheckpointReader",
    "Optimizer",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer",
    "Saver",
    "SaverDef",
    "assert_global_step",
    "checkpoint_exists",
    "cosine_decay",
    "cosine_decay_restarts",
    "create_global_step",
    "exponential_decay",
    "export_meta_graph",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_global_step",
    "get_or_create_global_step",
    "global_step",
    "import_meta_graph",
    "inverse_time_decay",
    "latest_checkpoint",
    "linear_cosine_decay",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "natural_exp_decay",
    "piecewise_constant",
    "piecewise_constant_decay",
    "polynomial_decay",
    "update_checkpoint_state",
    "write_graph",
]


# found when asked for: few scripts use them, and sessions are built on this module
_HOMES = {
    "coordinator": ("Coordinator", "LooperThread", "start_queue_runners"),
    "runtime.monitored.hooks": ("SessionRunArgs", "SessionRunContext", "SessionRunHook", "SessionRunValues"),
    "runtime.monitored.sessions": (
        "ChiefSessionCreator",
        "MonitoredSession",
        "MonitoredTrainingSession",
        "Scaffold",
        "SessionCreator",
        "SingularMonitoredSession",
    ),
    "runtime.monitored.standard_hooks": (
        "CheckpointSaverHook",
        "CheckpointSaverListener",
        "FeedFnHook",
        "FinalOpsHook",
        "LoggingTensorHook",
        "NanLossDuringTrainingError",
        "NanTensorHook",
        "StepCounterHook",
        "StopAtStepHook",
        "SummarySaverHook",
    ),
    "runtime.monitored.timing": ("SecondOrStepTimer",),
}
_ELSEWHERE = {name: module for module, names in _HOMES.items() for name in names}
_missing = missing_from(__name__, [*__all__, *_ELSEWHERE])


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        return _missing(name)
    return getattr(import_module(f".{_ELSEWHERE[name]}", __package__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ELSEWHERE})
