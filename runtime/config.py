"""TensorFlow's configuration messages, as plain objects with the fields that scripts set.

`intra_op_parallelism_threads`, `allow_soft_placement`, `log_device_placement`, `device_count`, of `gpu_options`
`per_process_gpu_memory_fraction`, `allow_growth` and `visible_device_list`, and a run's `trace_level` have an effect; the
other fields are accepted so that scripts written for TensorFlow run unchanged.
"""

from __future__ import annotations

from typing import Any, ClassVar


class Message:
    """A record with fixed fields: unknown ones are errors, as they are in a protocol buffer."""

    FIELDS: ClassVar[dict[str, Any]] = {}  # name -> default value, or a class whose instance is the default

    def __init__(self, **values: Any) -> None:
        for name, default in self.FIELDS.items():
            object.__setattr__(self, name, default() if isinstance(default, type) else default)
        for name, value in values.items():
            if name not in self.FIELDS:
                raise ValueError(f'Protocol message {type(self).__name__} has no "{name}" field.')
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.FIELDS:
            raise AttributeError(f'Protocol message {type(self).__name__} has no "{name}" field.')
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def CopyFrom(self, other: Message) -> None:
        """Take over every field of a message of the same class."""
        if type(other) is not type(self):
            raise TypeError(f"{type(self).__name__} cannot copy from {type(other).__name__}")
        for name in self.FIELDS:
            setattr(self, name, getattr(other, name))

    def __repr__(self) -> str:
        changed = {n: v for n, v in vars(self).items() if v != (d() if isinstance(d := self.FIELDS[n], type) else d)}
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in changed.items())})"


class GPUOptions(Message):
    """How a session uses GPUs; see runtime/cuda/pool.py for memory."""

    FIELDS: ClassVar = {
        "per_process_gpu_memory_fraction": 0.0,  # the most that all sessions may use; 0: all that the device has
        "allow_growth": False,  # False: that fraction is taken at once
        "allocator_type": "",
        "deferred_deletion_bytes": 0,
        "visible_device_list": "",  # "1,0": which of the driver's are /gpu:0, /gpu:1
        "polling_active_delay_usecs": 0,
        "polling_inactive_delay_msecs": 0,
        "force_gpu_compatible": False,
    }


class OptimizerOptions(Message):
    """How graphs are optimised."""

    L1, L0 = 0, -1
    DEFAULT, OFF, ON_1, ON_2 = 0, -1, 1, 2

    FIELDS: ClassVar = {
        "do_common_subexpression_elimination": False,
        "do_constant_folding": False,
        "do_function_inlining": False,
        "opt_level": 0,
        "global_jit_level": 0,
    }


class GraphOptions(Message):
    """How graphs are treated."""

    FIELDS: ClassVar = {
        "enable_recv_scheduling": False,
        "optimizer_options": OptimizerOptions,
        "build_cost_model": 0,
        "build_cost_model_after": 0,
        "infer_shapes": False,
        "place_pruned_graph": False,
        "enable_bfloat16_sendrecv": False,
        "timeline_step": 0,
    }


class ConfigProto(Message):
    """How a session runs: threads, devices, placement."""

    FIELDS: ClassVar = {
        "device_count": dict,  # "CPU" or "GPU" -> the largest number of devices to use
        "intra_op_parallelism_threads": 0,  # 0: as many as there are CPUs
        "inter_op_parallelism_threads": 0,
        "use_per_session_threads": False,
        "placement_period": 0,
        "device_filters": list,
        "gpu_options": GPUOptions,
        "allow_soft_placement": False,
        "log_device_placement": False,
        "graph_options": GraphOptions,
        "operation_timeout_in_ms": 0,
        "isolate_session_state": False,
    }


class RunOptions(Message):
    """How one run is traced: with any `trace_level` but NO_TRACE it fills the `tf.RunMetadata` that is given beside it;
    with `output_partition_graphs` as well also with the graph of the run, in which each node names its kernel."""

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = 0, 1, 2, 3

    FIELDS: ClassVar = {
        "trace_level": 0,
        "timeout_in_ms": 0,
        "inter_op_thread_pool": 0,
        "output_partition_graphs": False,
        "report_tensor_allocations_upon_oom": False,
    }
