"""What every kernel text needs: pointers to its buffers, loads, one commented line per node, stores.

A `Scribe` belongs to one kernel. A `Space` is one iteration space of it: the accesses made there decide how far its
dimensions collapse into plain loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...dtypes import DType
from ...opdef import Reduction, Update
from ...reference import scalar_attributes
from ...shapes import Batch
from ..index import Access, access_of, broadcast_access, row_major
from ..ir import Buffer, Kernel, Node, Plan, Value
from ..names import Names, comment
from ..passes.place_copies import variable_of
from ..problems import NotCompilable
from ..scalar import Expr, Printer, as_expr, c_type, declarations, literal
from .draws import Draw, Draws, element, row_lines, strips
from .folds import Fold
from .spaces import Space

# floats with one of these values are part of the text, unless they are settings; others are run-time values, so that
# another number leaves the source, and with it the cache entry, alone
PLAIN = frozenset((0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5))

# ops that C compiles to one fused step with a product before them, rounding once where TensorFlow rounds twice
SUMS = frozenset(("Add", "AddN", "BiasAdd", "SquaredDifference", "Sub"))

# ops that may fail on an element: the condition that must hold, in terms of the operands
CHECKS: dict[str, Callable[..., Expr | None]] = {
    "FloorDiv": lambda x, y: None if y.dtype.is_floating else y != 0,
    "FloorMod": lambda x, y: None if y.dtype.is_floating else y != 0,
    "Mod": lambda x, y: None if y.dtype.is_floating else y != 0,
    "TruncateDiv": lambda x, y: None if y.dtype.is_floating else y != 0,
    "TruncateMod": lambda x, y: None if y.dtype.is_floating else y != 0,
    "Div": lambda x, y: None if y.dtype.is_floating else y != 0,
}


class Scribe:
    """Writes the lines of one kernel."""

    def __init__(
        self,
        kernel: Kernel,
        plan: Plan,
        printer: Printer,
        tables: Any,
        failures: dict[str, int],
        reserved: Iterable[str] = (),
        randoms: Sequence[Node] = (),
    ) -> None:
        self.kernel = kernel
        self.plan = plan
        self.printer = printer
        self.tables = tables
        self.failures = failures
        self.names = Names(frozenset(reserved))
        self.locals: dict[Value, str] = {}
        self.pointers: dict[Buffer, tuple[str, str]] = {}  # buffer -> (name, declaration)
        self.writable = self._written_buffers()
        self.hoisted: dict[Value, tuple[str, str]] = {}
        self.checks: list[str] = []
        self.partial: tuple[str, ...] = ()  # pointers into the kernel's scratch memory
        self.randoms = randoms
        self.drawn: dict[Value, Expr] = {}  # random numbers that the kernel makes itself, at the loop variables
        self.keys: list[str] = []
        self.generators: tuple[str, ...] = ()  # of c/distributions.h.j2
        own = kernel.group.hoisted + kernel.group.drawn
        self.nodes = tuple(n for n in kernel.group.nodes if n not in own)  # those that the loops compute
        self.numbers = self._numbers()

    # --- buffers ----------------------------------------------------------------------------------------------------

    def _written_buffers(self) -> set[Buffer]:
        written = {self.plan.buffers[v] for v in self.kernel.writes}
        for node in self.kernel.group.nodes:
            if isinstance(node.kind, Update) or node.opdef.effect == "write":
                written.update(self.variable_buffer(v) for v in node.inputs if v.dtype.is_ref)
        return written

    def variable_buffer(self, reference: Value) -> Buffer:
        slot = self.tables.variables.index(variable_of(reference))
        return Buffer("variable", slot, c_type(reference.dtype))

    def buffer_of(self, base: Value) -> Buffer:
        if base.op.type == "_Read":
            return self.variable_buffer(base.op.inputs[0])
        return self.plan.buffers[base]

    def pointer(self, buffer: Buffer, label: str, name: str | None = None) -> str:
        """The name of the pointer to `buffer`, declared at first use."""
        if buffer not in self.pointers:
            name = name or self.names.unique(label)
            qualifier = "" if buffer in self.writable else "const "
            # as scalar.read_type: a bool's byte is 0 or 1 (dropout's mask: 470 us -> 30 us)
            ctype = "uint8_t" if qualifier and buffer.ctype == "bool" else buffer.ctype
            cast = f"{qualifier}{ctype} *"
            self.pointers[buffer] = (name, f"{cast}restrict {name} = ({cast})({buffer.address()});".replace("(s->", "(s->"))
        return self.pointers[buffer][0]

    def pointer_to(self, base: Value, name: str | None = None) -> str:
        node = base.op
        label = variable_of(node.inputs[0]).label if node.type == "_Read" else node.label
        if node.type not in ("_Read", "_Feed", "Const"):
            label = hint_of(node) + ("_out" if base in self.kernel.writes else "")
        return self.pointer(self.buffer_of(base), label + ("" if base.value_index == 0 else f"_{base.value_index}"), name)

    def partial_pointers(self, sizes: Sequence[tuple[Fold, int]]) -> tuple[str, ...]:
        """Declarations of pointers to the partial results of folds, so many bytes each, in the kernel's scratch memory."""
        buffer = self.plan.scratch.get(self.kernel.index)
        if buffer is None:
            return ()
        lines, offset = [], buffer.index
        for fold, size in sizes:
            address = Buffer(buffer.storage, offset, buffer.ctype, buffer.rest).address()
            lines.append(f"{fold.ctype} *restrict {fold.name}_parts = ({fold.ctype} *)({address});")
            offset += size
        return tuple(lines)

    def prologue(self) -> list[str]:
        """What a function of this kernel declares first: the batch size, pointers, scalars that are loaded once."""
        pointers = [declaration for _, declaration in self.pointers.values()]
        loads = [line for _, line in self.hoisted.values()]
        return ["const int64_t N = s->N;", *pointers, *self.partial, *self.keys, *loads, *self.numbers]

    # --- what the kernel computes for itself ------------------------------------------------------------------------

    def _numbers(self) -> list[str]:
        """The lines of single numbers that are computed before the loops."""
        lines: list[str] = []
        for node in self.kernel.group.hoisted:
            operands: list[Expr] = []
            for access in map(access_of, node.data_inputs()):
                number = self._number(access)
                known = self.local(access.base) if number is None else as_expr_of(number, access.base)
                operands.append(known or Expr(self._hoist(access.base), access.base.dtype))
            lines += self.lines(node, operands)
        return lines

    def draw(self, first: str, row: Any, variable: str) -> Draws | None:
        """The kernel's random numbers, for loops over strips of rows of `row` elements.

        `first` is the position of the element at `strip`, the beginning of a strip; `variable` walks it.
        """
        drawn = self._draws()
        self.drawn = {d.value: element(d, variable, first, row) for d in drawn}
        return strips(drawn, first, row)

    def draw_rows(self, columns: int) -> tuple[str, ...]:
        """The lines that make the kernel's random numbers for row `i`, taken at `j`."""
        drawn = self._draws()
        self.drawn = {d.value: Expr(f"{d.name}[j]", d.value.dtype) for d in drawn}
        return tuple(line for d in drawn for line in row_lines(d, columns))

    def _draws(self) -> list[Draw]:
        drawn = []
        for node in self.kernel.group.drawn:
            name, key = self.names.unique(hint_of(node)), self.names.unique("key")
            drawn.append(Draw(node.outputs[0], name, key, 3 * list(self.randoms).index(node) + 2))
        if drawn:
            self.names.unique("strip")
        self.keys = [d.key_line() for d in drawn]
        self.generators = tuple(d.generator for d in drawn)
        return drawn

    # --- operands ---------------------------------------------------------------------------------------------------

    def is_inline(self, access: Access) -> bool:
        """True for operands that need no load inside the loops: numbers, sizes, what the kernel makes itself."""
        group = self.kernel.group
        return access.base.op in group.hoisted or access.base.op in group.drawn or self._number(access) is not None

    def _number(self, access: Access) -> Any:
        """The plain number that an access to a constant or a size gives everywhere, or None."""
        base = access.base
        node = base.op
        if node.type == "_Extent":
            total: Any = 1
            for d in node.attr("dims"):
                total = d * total if isinstance(d, Batch) or not isinstance(total, Batch) else total * d
            return total
        value = base.known() if node.type != "Const" else node.attr("value")
        if value is None:
            return None
        value = np.asarray(value)
        if value.size != 1 or (value.size > 1 and any(s != 0 for s in access.strides)):
            return None
        number = value.reshape(-1)[0]
        if isinstance(number, Batch) or node.type != "Const":
            return number
        if base.dtype.is_floating and (node.is_setting or float(number) not in PLAIN):
            return None
        return number

    def operand(self, access: Access, space: Space, variables: Sequence[str]) -> Expr:
        """The element that `access` means at the loop variables: a number, a hoisted scalar or a load."""
        base = access.base
        if base.op in self.kernel.group.hoisted:
            return Expr(self.locals[base], base.dtype)
        if base in self.drawn:
            return self.drawn[base]
        number = self._number(access)
        if number is not None:
            return as_expr_of(number, base)
        if base.op.type == "_Iota":
            return Expr(f"({c_type(base.dtype)})({space.index(access, variables)})", base.dtype, 13)
        full = broadcast_access(access, space.dims)
        if (
            all(s == 0 or d == 1 for s, d in zip(full.strides, full.dims, strict=True))
            and full.offset == 0
            and not self._is_written(base)
        ):
            return Expr(self._hoist(base), base.dtype)
        pointer = self.pointer_to(base)
        return Expr(f"{pointer}[{space.index(access, variables)}]", base.dtype, loaded=pointer)

    def _is_written(self, base: Value) -> bool:
        return self.buffer_of(base) in self.writable

    def _hoist(self, base: Value) -> str:
        if base not in self.hoisted:
            pointer = self.pointer_to(base)
            name = self.names.unique(base.op.label if base.op.type != "_Read" else variable_of(base.op.inputs[0]).label)
            self.hoisted[base] = (name, f"const {c_type(base.dtype)} {name} = {pointer}[0];")
        return self.hoisted[base][0]

    # --- lines ------------------------------------------------------------------------------------------------------

    def lines(self, node: Node, operands: Sequence[Expr]) -> list[str]:
        """One declaration per output of a pointwise node, with the node's name as comment."""
        self._check(node, operands)
        if node.opdef.effect == "check" and not self._is_read(node):
            return []  # it is here for its check alone
        result = node.opdef.body(self.printer, *operands, **scalar_attributes(node.opdef, node.attrs))
        results = result if isinstance(result, tuple) else (result,)
        named = []
        for value, expression in zip(node.outputs, results, strict=True):
            name = self.names.unique(hint_of(node))
            self.locals[value] = name
            fitted = self.fitted(expression, value.dtype)
            named.append((self.printer.rounded(fitted) if fitted.is_product and self._is_summed(value) else fitted, name))
        return self._declared(named, node)

    def _is_summed(self, value: Value) -> bool:
        """True if another of the user's nodes in this kernel adds `value`, or its negative, to something."""
        own = value.op.origin
        readers = [n for n in self.kernel.group.nodes if value in n.inputs and (own is None or n.origin is not own)]
        return value.dtype.is_floating and any(
            self._is_summed(n.outputs[0])
            if n.type == "Neg"
            else n.type in SUMS or (isinstance(n.kind, (Reduction, Update)) and n.type != "Assign")
            for n in readers
        )

    def fitted(self, expression: Any, dtype: DType) -> Expr:
        """A result in its dtype, as an expression of its own (never the very operand, which has a name already)."""
        expression = as_expr(expression, dtype)
        if expression.dtype != dtype.base_dtype:
            return self.printer.cast(expression, dtype)
        return expression if expression.operands else Expr(expression.text, expression.dtype, expression.strength)

    def _declared(self, named: Sequence[tuple[Expr, str]], node: Node) -> list[str]:
        lines = declarations(named, lambda part: self.names.unique(part.loaded or f"{hint_of(node)}_part"))
        return [f"const {ctype} {name} = {text}; /* {describe(node)} */" for ctype, name, text in lines]

    def _check(self, node: Node, operands: Sequence[Expr]) -> None:
        if node.opdef.effect != "check":
            return
        rule = CHECKS.get(node.type)
        condition = rule(*operands) if rule is not None else None
        if rule is None:
            raise NotCompilable(f"{node.label} ({node.type}) has no compiled check")
        if condition is not None:
            self.checks.append(f"if (!({condition.text}))\n    {self.fail(node)};")

    def _is_read(self, node: Node) -> bool:
        """True if another kernel or a node of this one needs an output of `node`."""
        read = {access_of(value).base for other in self.kernel.group.nodes for value in other.data_inputs()}
        return any(value in self.kernel.writes or value in read for value in node.outputs)

    def fail(self, node: Node) -> str:
        """The statement that reports a failed check of `node`."""
        index = self.failures.setdefault(node.origin.name if node.origin is not None else node.label, len(self.failures))
        return f"tg_fail(s, {index + 1})"

    def update_lines(self, node: Node, operands: Sequence[Expr], targets: Sequence[str]) -> list[str]:
        """New values of an update's references, computed first and stored after."""
        result = node.opdef.body(self.printer, *operands, **scalar_attributes(node.opdef, node.attrs))
        results = result if isinstance(result, tuple) else (result,)
        named, stores = [], []
        references = [v for v in node.inputs if v.dtype.is_ref]
        for reference, expression, target in zip(references, results, targets, strict=True):
            name = self.names.unique("new_" + variable_of(reference).label.replace("/", "_"))
            named.append((self.fitted(expression, reference.dtype), name))
            stores.append(f"{target} = {name};")
        return self._declared(named, node) + stores

    # --- element-level bodies ---------------------------------------------------------------------------------------

    def note_operands(self, node: Node, space: Space, inside: Callable[[Value], bool]) -> None:
        """Remember every access that `lines_at` will need for `node`."""
        for value in node.data_inputs():
            if value.dtype.is_ref:
                space.note(Access(value, value.dims, row_major(value.dims)))
                continue
            access = access_of(value)
            if not inside(access.base) and not self.is_inline(access):
                space.note(access)
        if isinstance(node.kind, Update):
            return
        for value in node.outputs:
            if value in self.kernel.writes:
                space.note(Access(value, value.dims, row_major(value.dims)))

    def lines_at(
        self, node: Node, space: Space, variables: Sequence[str], local: Callable[[Value], Expr | None]
    ) -> list[str]:
        """The computation of one pointwise or update node at the loop variables, with its stores."""
        operands: list[Expr] = []
        targets: list[str] = []
        for value in node.data_inputs():
            if value.dtype.is_ref:
                pointer = self.pointer(self.variable_buffer(value), variable_of(value).label)
                target = f"{pointer}[{space.index(Access(value, value.dims, row_major(value.dims)), variables)}]"
                targets.append(target)
                operands.append(Expr(target, value.dtype, loaded=pointer))
                continue
            access = access_of(value)
            known = local(access.base)
            operands.append(known if known is not None else self.operand(access, space, variables))
        if isinstance(node.kind, Update):
            return self.update_lines(node, operands, targets)
        before = len(self.checks)
        text = self.lines(node, operands)
        text = self.checks[before:] + text
        del self.checks[before:]
        return text + self.stores(node, space, variables)

    def stores(self, node: Node, space: Space, variables: Sequence[str]) -> list[str]:
        """Stores of the outputs that other kernels (or fetches) need."""
        result = []
        for value in node.outputs:
            if value in self.kernel.writes:
                index = space.index(Access(value, value.dims, row_major(value.dims)), variables)
                result.append(f"{self.pointer_to(value)}[{index}] = {self.locals[value]};")
        return result

    def local(self, value: Value) -> Expr | None:
        """The local variable that holds `value`, if this kernel has computed it already."""
        name = self.locals.get(value)
        return None if name is None else Expr(name, value.dtype)


def hint_of(node: Node) -> str:
    """What to name a node's result after: the user's name, or the op where one user's node became several."""
    return node.label if node.origin is None or node.origin.type == node.type else node.type


def describe(node: Node) -> str:
    """The user's node that a line belongs to, and the op if it is a part of that node."""
    label = comment(node.label)
    return label if node.origin is None or node.origin.type == node.type else f"{label}: {node.type}"


def as_expr_of(number: Any, base: Value) -> Expr:
    text = literal(number, base.dtype)
    return Expr(text, base.dtype, 13 if text.startswith(("-", "(")) else 15)
