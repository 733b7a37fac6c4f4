"""Machine instructions that Numba has no functions for: calls by address, short copies, non-temporal stores, prefetch.

These functions generate LLVM IR. A call by address costs about 15 ns, one of Numba's first-class functions 8 us (EPYC
family 26). `move` copies short runs without a call to memcpy; a batch of CIFAR size has thousands of them. Storing
64 x 224 x 224 x 3 float32 past the caches by `stream` takes about 0.6 of the time of plain stores.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64  #: bytes of a line of the caches
_VECTOR = 32  # bytes that are copied at once
_LONG = 4096  # bytes of a run that the system copies as fast


def caller(signature: Any) -> Any:
    """A function that calls a compiled function of that signature by its address.

    This keeps code that depends on dtypes out of the code that does not, which is then compiled only once.
    """

    @intrinsic
    def call(context: Any, address: Any, arguments: Any) -> Any:
        def generate(context: Any, builder: Any, signature_: Any, args: Any) -> Any:
            kind = ir.FunctionType(ir.VoidType(), [context.get_value_type(each) for each in signature.args])
            values = cgutils.unpack_tuple(builder, args[1], len(signature.args))
            values = [_cast(context, builder, *each) for each in zip(values, arguments, signature.args, strict=True)]
            builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
            return context.get_dummy_value()

        return types.void(types.intp, arguments), generate

    return call


@intrinsic
def on_stack(context: Any, state: Any) -> Any:
    """Copy a tuple to the stack of this function, and return its address, which is valid until the function returns."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        room = cgutils.alloca_once_value(builder, args[0])
        return builder.ptrtoint(room, ir.IntType(64))

    return types.int64(state), generate


def loader(kind: Any) -> Any:
    """A function that loads the tuple of that type from an address of `on_stack`; unused fields are not loaded."""

    @intrinsic
    def load(context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = builder.inttoptr(args[0], context.get_value_type(kind).as_pointer())
            return builder.load(place)

        return kind(types.int64), generate

    return load


def _cast(context: Any, builder: Any, value: Any, given: Any, wanted: Any) -> Any:
    """Cast a value; named tuples field by field."""
    if not isinstance(wanted, types.BaseTuple):
        return context.cast(builder, value, given, wanted)
    parts = zip(cgutils.unpack_tuple(builder, value, len(wanted)), given, wanted, strict=True)
    return context.make_tuple(builder, wanted, [_cast(context, builder, *part) for part in parts])


@intrinsic
def move(context: Any, to: Any, at: Any, x: Any, start: Any, length: Any) -> Any:
    """Copy bytes: short runs in vectors, the last of which may overlap the one before, and long ones by memcpy."""
    index = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        write, read = (_place(context, builder, signature, args, a) for a in (0, 2))
        count = args[4]
        last = builder.sub(count, index(_VECTOR))
        short = builder.icmp_unsigned("<", last, index(_LONG))
        with builder.if_else(short, likely=True) as (by_vectors, by_other):
            with by_vectors:
                with cgutils.for_range_slice(builder, index(0), last, index(_VECTOR), index) as (done, _):
                    _move_vector(builder, write, read, done, _VECTOR)
                _move_vector(builder, write, read, last, _VECTOR)
            with by_other, builder.if_else(builder.icmp_signed(">=", last, index(0))) as (by_call, by_few):
                with by_call:
                    cgutils.raw_memcpy(builder, write, read, count, 1)
                with by_few:
                    _move_few(builder, write, read, count, _VECTOR // 2)
        return context.get_dummy_value()

    return types.void(to, types.int64, x, types.int64, types.int64), generate


def _place(context: Any, builder: Any, signature: Any, args: Any, a: int) -> Any:
    """The address of element args[a + 1] of the array args[a]."""
    data = context.make_array(signature.args[a])(context, builder, args[a]).data
    return builder.gep(data, [args[a + 1]])


def _move_few(builder: Any, write: Any, read: Any, count: Any, half: int) -> None:
    """Copy less than a vector: the first part and the last part, which may overlap."""
    with builder.if_else(builder.icmp_signed(">=", count, count.type(half))) as (by_two, by_less):
        with by_two:
            _move_vector(builder, write, read, count.type(0), half)
            _move_vector(builder, write, read, builder.sub(count, count.type(half)), half)
        with by_less:
            if half > 1:
                _move_few(builder, write, read, count, half // 2)


def _move_vector(builder: Any, write: Any, read: Any, at: Any, size: int) -> None:
    vector = ir.VectorType(ir.IntType(8), size).as_pointer()
    to, of = (builder.bitcast(builder.gep(place, [at]), vector) for place in (write, read))
    builder.store(builder.load(of, align=1), to, align=1)


@intrinsic
def word(context: Any, x: Any, at: Any) -> Any:
    """Load eight bytes as one uint64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.bitcast(_place(context, builder, signature, args, 0), ir.IntType(8).as_pointer())
        return builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(x, types.int64), generate


@intrinsic
def fetch(context: Any, x: Any, at: Any, length: Any) -> Any:
    """Prefetch bytes into the caches."""
    index = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = _place(context, builder, signature, args, 0)
        with cgutils.for_range_slice(builder, index(0), args[2], index(LINE), index) as (done, _):
            _prefetch(builder, builder.gep(first, [done]))
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64), generate


def _prefetch(builder: Any, place: Any) -> None:
    flag, address = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [address, flag, flag, flag])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [address], kind)
    builder.call(prefetch, [builder.bitcast(place, address), flag(0), flag(3), flag(1)])


@intrinsic
def stream(context: Any, out: Any, at: Any, buffer: Any, start: Any, length: Any, x: Any, ahead: Any) -> Any:
    """Store whole cache lines with non-temporal stores, and prefetch as many bytes of x."""
    index = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to, by, of = (_place(context, builder, signature, args, a) for a in (0, 2, 5))
        vector = ir.VectorType(ir.IntType(8), LINE).as_pointer()
        with cgutils.for_range_slice(builder, index(0), args[4], index(LINE), index) as (done, _):
            _prefetch(builder, builder.gep(of, [done]))
            made, place = (builder.bitcast(builder.gep(each, [done]), vector) for each in (by, to))
            stored = builder.store(builder.load(made, align=1), place, align=LINE)
            stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(out, types.int64, buffer, types.int64, types.int64, x, types.int64), generate


@intrinsic
def data_address(context: Any, x: Any) -> Any:
    """The address of the first element of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(context.make_array(signature.args[0])(context, builder, args[0]).data, ir.IntType(64))

    return types.int64(x), generate


def _bits(given: Any, wanted: Any, convert: Any) -> Any:
    """A conversion between a number and the bits of a dtype that Numba does not have."""

    @intrinsic
    def converted(context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return convert(builder, args[0])

        return wanted(given), generate

    return converted


def _brain_to_float(b: Any, bits: Any) -> Any:
    wide = b.shl(b.zext(bits, ir.IntType(32)), ir.IntType(32)(16))
    return b.bitcast(wide, ir.FloatType())


def _float_to_brain(b: Any, x: Any) -> Any:
    """Round to nearest, ties to even; NaN stays NaN."""
    whole = ir.IntType(32)
    bits = b.bitcast(x, whole)
    odd = b.and_(b.lshr(bits, whole(16)), whole(1))
    rounded = b.add(bits, b.add(odd, whole(0x7FFF)))
    quiet = b.or_(bits, whole(0x400000))
    nan = b.fcmp_unordered("uno", x, x)
    return b.trunc(b.lshr(b.select(nan, quiet, rounded), whole(16)), ir.IntType(16))


half_to_float = _bits(types.int16, types.float32, lambda b, x: b.fpext(b.bitcast(x, ir.HalfType()), ir.FloatType()))
float_to_half = _bits(types.float32, types.int16, lambda b, x: b.bitcast(b.fptrunc(x, ir.HalfType()), ir.IntType(16)))
brain_to_float = _bits(types.uint16, types.float32, _brain_to_float)
float_to_brain = _bits(types.float32, types.uint16, _float_to_brain)
