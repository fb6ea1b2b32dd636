"""Matrix products and convolutions of a program: sizes from the node, pointers from the plan, a fused epilogue."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...opdef import Primitive, Reduction
from ...shapes import element_count
from ...windows import windows_2d
from ..emitted import PLAIN, Emitted, Epilogue, Scratch
from ..index import access_of, index_text
from ..ir import Group, Kernel, Node, Size
from ..render import words_of
from ..scalar import c_type, size_text
from . import conv2d, matmul
from .conv2d_window import Conv2DSpec
from .matmul import MatMulSpec
from .pointwise import header
from .pool import PoolSpec
from .pool_spec import FORMS, pool_sizes, pool_spec
from .scribe import Scribe

# names that the text around the templates gives to operands, results and its own variables
OWN_NAMES = frozenset(
    (
        "a b x w y dy dx dw position scratch acc row column h q image first_row end_row first_tap end_tap i_begin i_end "
        "j_begin j_end column_sums pixel next next_column next_depth next_columns ahead_shift ahead_columns"
    ).split()
)
TEMPLATES = tuple(
    f"c/{name}.c.j2"
    for name in (
        "matmul matmul_few matmul_operands matmul_tiles matmul_columns matmul_finish conv2d conv2d_filter conv2d_pool "
        "conv2d_window thin_pool winograd winograd_filter winograd_pool finish pool take_larger column_totals"
    ).split()
)  # fmt: skip


def reserved_names() -> frozenset[str]:
    """What no pointer or result named by the user may be called in these kernels."""
    return OWN_NAMES | words_of(*TEMPLATES)


def matmul_spec(node: Node) -> MatMulSpec:
    """The sizes of a MatMul or BatchMatMul node."""
    left, right = node.inputs[0].dims, node.inputs[1].dims
    flags = (
        (node.attr("transpose_a"), node.attr("transpose_b"))
        if node.type == "MatMul"
        else (node.attr("adj_x"), node.attr("adj_y"))
    )
    m, k = (left[-1], left[-2]) if flags[0] else (left[-2], left[-1])
    n = right[-2] if flags[1] else right[-1]
    return MatMulSpec(m, n, k, *flags, batch=element_count(left[:-2]), dtype=node.outputs[0].dtype.name)


def operand_lines(
    context: Any, scribe: Scribe, node: Node, operands: tuple[str, ...], results: tuple[str, ...]
) -> list[str]:
    """Declarations of the pointers that a template knows by fixed names."""
    lines: list[str] = []
    for value, name in zip(node.data_inputs(), operands, strict=True):
        access = access_of(value)
        ctype = c_type(value.dtype)
        address = scribe.buffer_of(access.base).address()
        offset = f" + {size_text(access.offset)}" if access.offset != 0 else ""
        lines.append(f"const {ctype} *restrict {name} = (const {ctype} *)({address}){offset};")
    lines += result_lines(context, scribe, node, results)
    scratch_buffer = context.plan.scratch.get(context.kernel.index)
    if scratch_buffer is not None:
        lines.append(f"char *restrict scratch = {scratch_buffer.address()};")
    return lines


def result_lines(context: Any, scribe: Scribe, node: Node, results: tuple[str, ...]) -> list[str]:
    """Declarations of the pointers to those outputs of `node` that are stored."""
    lines: list[str] = []
    for output, name in zip(node.outputs, results, strict=True):
        if output in context.kernel.writes:
            ctype = c_type(output.dtype)
            lines.append(f"{ctype} *restrict {name} = ({ctype} *)({scribe.buffer_of(output).address()});")
    return lines


def write_contraction(context: Any, node: Node, operands: tuple[str, ...], results: tuple[str, ...], emit: Any) -> Any:
    """One product or convolution with its epilogue. `operands` and `results` are the template's names of pointers."""
    from . import Written

    scribe: Scribe = context.scribe(reserved_names())
    lines = operand_lines(context, scribe, node, operands, results)
    pool = fused_pool(context.kernel.group)
    if pool is not None:
        lines += result_lines(context, scribe, pool, FORMS[pool.kind.kernel][2])
    epilogue = epilogue_of(context, scribe, node, results[0])
    emitted: Emitted = emit(
        context.kernel.name, (*scribe.prologue()[:1], *lines, *scribe.prologue()[1:]), epilogue, header_text(scribe)
    )
    return Written(emitted.source, emitted.launches, emitted.shared, scribe.generators, emitted.method)


def header_text(scribe: Scribe) -> str:
    """The comment above a kernel."""
    return "\n".join(["/*", *(f" * {line}" for line in header(scribe)), " */"])


def epilogue_of(context: Any, scribe: Scribe, anchor: Node, result: str) -> Epilogue:
    """The pointwise nodes fused to a product, as lines over `acc`, `row` and `column`."""
    pool = fused_pool(context.kernel.group)
    beside = beside_of(context, scribe, anchor)
    nodes = [n for n in scribe.nodes if n is not anchor and n is not pool and n not in context.kernel.group.beside]
    output = anchor.outputs[0]
    columns = size_text(output.dims[-1])
    if not nodes and beside is None:
        return PLAIN
    scribe.locals[output] = "acc"
    draws = scribe.draw(f"row * {columns} + strip", output.dims[-1], "column")
    stores = [f"{result}[row * {columns} + column] = acc;"] if output in context.kernel.writes else []
    space = MatrixSpace(context.kernel.group.domain)
    lines: list[str] = []
    for node in nodes:
        lines += scribe.lines_at(node, space, ("row", "column"), scribe.local)  # type: ignore[arg-type]
    # stores that the nodes made stand among the lines, each after its value
    value = "acc" if pool is None else scribe.locals[access_of(pool.inputs[0]).base]
    return Epilogue(tuple(lines), tuple(stores), value, draws, beside)


def beside_of(context: Any, scribe: Scribe, anchor: Node) -> Epilogue | None:
    """What the kernel makes of the sums of the columns of its gradient, as lines over `acc` and `column`."""
    nodes = [n for n in scribe.nodes if n in context.kernel.group.beside]
    if not nodes:
        return None
    (fold,) = (n for n in nodes if isinstance(n.kind, Reduction))
    space = MatrixSpace(fold.outputs[0].dims)
    scribe.locals[fold.outputs[0]] = "acc"
    lines = scribe.stores(fold, space, ("row", "column"))  # type: ignore[arg-type]
    for node in nodes:
        if node is not fold:
            lines += scribe.lines_at(node, space, ("row", "column"), scribe.local)  # type: ignore[arg-type]
    return Epilogue(tuple(lines))


def fused_pool(group: Group) -> Node | None:
    """The pooling that takes the results of the group's convolution, if there is one."""
    pools = [n for n in group.nodes if isinstance(n.kind, Primitive) and n is not group.anchor and n not in group.drawn]
    return pools[0] if pools else None


def fused_pool_spec(kernel: Kernel) -> PoolSpec | None:
    """The sizes of the pooling that belongs to a convolution's kernel, and which of its results are stored."""
    anchor, pool = kernel.group.anchor, fused_pool(kernel.group)
    if anchor is not None and anchor.kind.kernel in POSITIONED:
        return pool_of_gradient(anchor)
    if pool is None:
        return None
    named = zip(FORMS[pool.kind.kernel][2], pool.outputs, strict=True)
    return replace(pool_spec(pool), results=tuple(name for name, value in named if value in kernel.writes))


class MatrixSpace:
    """The space of an epilogue: `row` and `column` of the result seen as a matrix."""

    def __init__(self, dims: Any) -> None:
        self.dims = dims

    def note(self, access: Any) -> Any:
        return access

    def index(self, access: Any, variables: Any) -> str:
        from ..index import broadcast_access

        full = broadcast_access(access, self.dims)
        row, column, offset = matrix_strides(full)
        return index_text((row, column), variables, offset)


def matrix_strides(access: Any) -> tuple[Any, Any, Any]:
    """Row stride, column stride and offset of a full access (the grouping has made sure that they exist)."""
    leading = [(d, s) for d, s in zip(access.dims[:-1], access.strides[:-1], strict=True) if d != 1]
    return (leading[-1][1] if leading else 0), (access.strides[-1] if access.dims[-1] != 1 else 0), access.offset


def conv_spec(node: Node) -> Conv2DSpec:
    """The sizes of a convolution or one of its gradients."""
    direction = DIRECTIONS[node.kind.kernel.removesuffix("_at")]
    if direction == "forward":
        x, w = node.inputs[0].dims, node.inputs[1].dims
    elif direction == "backprop_input":
        x, w = node.outputs[0].dims, node.argument("filter").dims
    else:
        x, w = node.argument("input").dims, node.outputs[0].dims
    strides, dilations = node.attr("strides"), node.attr("dilations")
    rows, columns = windows_2d(x[1:3], w[:2], strides, dilations, node.attr("padding"))
    return Conv2DSpec(
        direction=direction,
        images=x[0],
        in_h=x[1], in_w=x[2], in_c=x[3],
        filter_h=w[0], filter_w=w[1], out_c=w[3],
        stride_h=rows.stride, stride_w=columns.stride,
        dilation_h=rows.dilation, dilation_w=columns.dilation,
        pad_top=rows.before, pad_left=columns.before,
        out_h=rows.count, out_w=columns.count,
        dtype=node.outputs[0].dtype.name,
    )  # fmt: skip


DIRECTIONS = {
    "conv2d": "forward",
    "conv2d_backprop_input": "backprop_input",
    "conv2d_backprop_filter": "backprop_filter",
}


POSITIONED = {f"{kernel}_at": direction for kernel, direction in DIRECTIONS.items() if direction != "forward"}


def pool_of_gradient(node: Node) -> PoolSpec:
    """The pooling of a convolution's results in whose windows its gradient is known."""
    spec = conv_spec(node)
    ksize, strides, padding = node.attr("pooling")
    return pool_sizes("max_at", (spec.images, spec.out_h, spec.out_w, spec.out_c), ksize, strides, padding, spec.dtype)


def _matmul(context: Any) -> Any:
    node = context.kernel.group.anchor
    spec = matmul_spec(node)
    return write_contraction(
        context, node, ("a", "b"), ("y",),
        lambda name, lines, epilogue, text: matmul.emit(spec, name, lines, epilogue, text),
    )  # fmt: skip


def _conv2d(context: Any) -> Any:
    node = context.kernel.group.anchor
    spec = conv_spec(node)
    _, _, result = conv2d.OPERANDS[spec.direction]
    # the operands in the order of the node's inputs, not of a product
    operands: tuple[str, ...] = ("w", "dy") if spec.direction == "backprop_input" else conv2d.OPERANDS[spec.direction][:2]
    if node.kind.kernel in POSITIONED:
        operands = (operands[0], "position", "dy")
    pool = fused_pool_spec(context.kernel)
    return write_contraction(
        context, node, operands, (result,),
        lambda name, lines, epilogue, text: conv2d.emit(spec, name, lines, epilogue, text, pool=pool),
    )  # fmt: skip


def _size(scratch: Scratch) -> Size:
    return Size(scratch.per_batch_bytes, scratch.fixed_bytes)


def _matmul_scratch(kernel: Kernel) -> Size:
    assert kernel.group.anchor is not None
    return _size(matmul.scratch(matmul_spec(kernel.group.anchor)))


def _conv2d_scratch(kernel: Kernel) -> Size:
    assert kernel.group.anchor is not None
    is_plain = len(kernel.group.nodes) == 1
    spec = conv_spec(kernel.group.anchor)
    return _size(conv2d.scratch(spec, epilogue_is_plain=is_plain, pool=fused_pool_spec(kernel)))


TABLE: dict[str, Any] = {
    "matmul": (_matmul, _matmul_scratch),
    **dict.fromkeys((*DIRECTIONS, *POSITIONED), (_conv2d, _conv2d_scratch)),
}
