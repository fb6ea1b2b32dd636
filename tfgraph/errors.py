"""TensorFlow's error classes, each with its canonical code; `ShapeError` is what shape rules raise inside."""

from __future__ import annotations

from typing import Any, NoReturn

OK = 0
CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS = range(1, 7)
PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE = range(7, 12)
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED = range(12, 17)


class OpError(Exception):
    """An error of a run: `.op` is the failing Operation, `.message` the text, `.error_code` the canonical number."""

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int) -> None:
        super().__init__()
        self._node_def = node_def
        self._op = op
        self._message = message
        self._error_code = error_code

    @property
    def message(self) -> str:
        return self._message

    @property
    def op(self) -> Any:
        return self._op

    @property
    def node_def(self) -> Any:
        return self._op.node_def if self._node_def is None and self._op is not None else self._node_def

    @property
    def error_code(self) -> int:
        return self._error_code

    def __str__(self) -> str:
        if self._op is None:
            return self._message
        return (
            f"{self._message}\n\nCaused by op '{self._op.name}', defined at:\n"
            + "".join(f"  {line}\n" for line in self._op.source_lines())
        )


class CodedError(OpError):
    """An OpError whose class fixes its code."""

    CODE = UNKNOWN

    def __init__(self, node_def: Any, op: Any, message: str) -> None:
        super().__init__(node_def, op, message, self.CODE)


def _subclass(name: str, code: int, when: str) -> type[CodedError]:
    return type(name, (CodedError,), {"CODE": code, "__doc__": when, "__module__": __name__})


CancelledError = _subclass("CancelledError", CANCELLED, "A run or step was cancelled.")
UnknownError = _subclass("UnknownError", UNKNOWN, "An error that fits no other class.")
InvalidArgumentError = _subclass("InvalidArgumentError", INVALID_ARGUMENT, "An operation got an argument it cannot take.")
DeadlineExceededError = _subclass("DeadlineExceededError", DEADLINE_EXCEEDED, "A deadline passed.")
NotFoundError = _subclass("NotFoundError", NOT_FOUND, "A file or name was not found.")
AlreadyExistsError = _subclass("AlreadyExistsError", ALREADY_EXISTS, "Something that was to be made exists.")
PermissionDeniedError = _subclass("PermissionDeniedError", PERMISSION_DENIED, "The caller may not do this.")
ResourceExhaustedError = _subclass("ResourceExhaustedError", RESOURCE_EXHAUSTED, "Memory or disk ran out.")
FailedPreconditionError = _subclass(
    "FailedPreconditionError", FAILED_PRECONDITION, "The system is not in the state needed, e.g. an uninitialised variable."
)
AbortedError = _subclass("AbortedError", ABORTED, "An operation was aborted.")
OutOfRangeError = _subclass("OutOfRangeError", OUT_OF_RANGE, "Iteration went past the valid range.")
UnimplementedError = _subclass("UnimplementedError", UNIMPLEMENTED, "This is not implemented.")
InternalError = _subclass("InternalError", INTERNAL, "An invariant of the system is broken.")
UnavailableError = _subclass("UnavailableError", UNAVAILABLE, "The runtime is not available.")
DataLossError = _subclass("DataLossError", DATA_LOSS, "A file is damaged.")
UnauthenticatedError = _subclass("UnauthenticatedError", UNAUTHENTICATED, "Credentials are missing.")

BY_CODE: dict[int, type[CodedError]] = {cls.CODE: cls for cls in CodedError.__subclasses__()}


class ShapeError(Exception):
    """Raised by a shape rule; `build` is TensorFlow's text at construction, `run` its text during a run."""

    def __init__(self, build: str, run: str | None = None) -> None:
        super().__init__(build)
        self.build = build
        self.run = run if run is not None else build


def fail(build: str, run: str | None = None) -> NoReturn:
    """Stop a shape rule: a ValueError with `build` at construction, InvalidArgumentError with `run` in a run."""
    raise ShapeError(build, run)
