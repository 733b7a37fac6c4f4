"""Machine instructions that Numba has no functions for: memory and calls by address, stores past the caches, prefetch.

These functions generate LLVM IR. Addresses are int64. A call by address costs about 15 ns, one of Numba's first-class
functions 8 us (EPYC family 26). `move` copies short runs without a call to memcpy; a batch of CIFAR size has thousands
of them. Storing 64 x 224 x 224 x 3 float32 past the caches by `stream` takes about 0.6 of the time of plain stores.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from .forms import BOX, SPAN, STATE

LINE = 64  #: bytes of a line of the caches
_VECTOR = 32  # bytes that are copied at once
_LONG = 4096  # bytes of a run that the system copies as fast
_INT = types.int64
_WORD = ir.IntType(64)
_BYTE = ir.IntType(8).as_pointer()


def _record(dtype: Any) -> Any:
    """A function that returns record `number` of the table of records at an address."""
    kind = from_dtype(dtype)

    @intrinsic
    def record(context: Any, address: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = builder.add(args[0], builder.mul(args[1], _WORD(dtype.itemsize)))
            return builder.inttoptr(at, context.get_value_type(kind))

        return kind(_INT, _INT), generate

    return record


def array(kind: Any) -> Any:
    """A function that returns the array of that dtype at an address, whose length nobody knows: index it by uint64."""
    result = types.Array(kind, 1, "C")

    @intrinsic
    def view(context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            struct = context.make_array(result)(context, builder)
            size = _WORD(context.get_abi_sizeof(context.get_data_type(kind)))
            data = builder.inttoptr(args[0], context.get_data_type(kind).as_pointer())
            populate_array(struct, data, [_WORD(2**62)], [size], size, None)
            return struct._getvalue()

        return result(_INT), generate

    return view


def _reader(kind: Any, wanted: Any = None) -> Any:
    """A function that loads number `place` of those at an address."""

    @intrinsic
    def read(context: Any, address: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = builder.inttoptr(args[0], context.get_data_type(kind).as_pointer())
            number = builder.load(builder.gep(data, [args[1]]), align=1)
            return context.cast(builder, number, kind, wanted or kind)

        return (wanted or kind)(_INT, _INT), generate

    return read


state_at, box_at, span_at = _record(STATE), _record(BOX), _record(SPAN)
ints, floats = array(types.int64), array(types.float32)
int32_at, byte_at, float_at = _reader(types.int32, _INT), _reader(types.uint8, _INT), _reader(types.float32)
word_at = _reader(types.uint64)


@intrinsic
def address(context: Any, x: Any) -> Any:
    """The address of the first element of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(context.make_array(signature.args[0])(context, builder, args[0]).data, _WORD)

    return _INT(x), generate


@intrinsic
def threefry(context: Any, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """keys.threefry, of words of 32 bits. As Numba's own code it takes 0.6 s longer to compile."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(32)
        keys, x, y = [*args[:2], builder.xor(builder.xor(*args[:2]), word(0x1BD11BDA))], args[2], args[3]
        x, y = builder.add(x, keys[0]), builder.add(y, keys[1])
        for group in range(5):
            for bits in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
                x = builder.add(x, y)
                y = builder.or_(builder.shl(y, word(bits)), builder.lshr(y, word(32 - bits)))
                y = builder.xor(y, x)
            x = builder.add(x, keys[(group + 1) % 3])
            y = builder.add(builder.add(y, keys[(group + 2) % 3]), word(group + 1))
        return context.make_tuple(builder, signature.return_type, [x, y])

    return types.UniTuple(types.uint32, 2)(*[types.uint32] * 4), generate


@intrinsic
def call(context: Any, kernel: Any, arguments: Any) -> Any:
    """Call the kernel at an address, of int64 arguments.

    This keeps code that depends on dtypes out of the code that does not, which is then compiled only once.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = cgutils.unpack_tuple(builder, args[1], len(arguments))
        values = [context.cast(builder, x, kind, _INT) for x, kind in zip(values, arguments, strict=True)]
        kind = ir.FunctionType(ir.VoidType(), [_WORD] * len(values))
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), values)
        return context.get_dummy_value()

    return types.void(_INT, arguments), generate


@intrinsic
def move(context: Any, to: Any, start: Any, length: Any) -> Any:
    """Copy bytes: short runs in vectors, the last of which may overlap the one before, and long ones by memcpy."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        write, read = (builder.inttoptr(each, _BYTE) for each in args[:2])
        count = args[2]
        last = builder.sub(count, _WORD(_VECTOR))
        short = builder.icmp_unsigned("<", last, _WORD(_LONG))
        with builder.if_else(short, likely=True) as (by_vectors, by_other):
            with by_vectors:
                with cgutils.for_range_slice(builder, _WORD(0), last, _WORD(_VECTOR), _WORD) as (done, _):
                    _move_vector(builder, write, read, done, _VECTOR)
                _move_vector(builder, write, read, last, _VECTOR)
            with by_other, builder.if_else(builder.icmp_signed(">=", last, _WORD(0))) as (by_call, by_few):
                with by_call:
                    cgutils.raw_memcpy(builder, write, read, count, 1)
                with by_few:
                    _move_few(builder, write, read, count, _VECTOR // 2)
        return context.get_dummy_value()

    return types.void(_INT, _INT, _INT), generate


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
def fetch(context: Any, start: Any, length: Any) -> Any:
    """Prefetch bytes into the caches."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with cgutils.for_range_slice(builder, _WORD(0), args[1], _WORD(LINE), _WORD) as (done, _):
            _prefetch(builder, builder.add(args[0], done))
        return context.get_dummy_value()

    return types.void(_INT, _INT), generate


def _prefetch(builder: Any, place: Any) -> None:
    flag = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [_BYTE, flag, flag, flag])
    prefetch = builder.module.declare_intrinsic("llvm.prefetch", [_BYTE], kind)
    builder.call(prefetch, [builder.inttoptr(place, _BYTE), flag(0), flag(3), flag(1)])


@intrinsic
def stream(context: Any, to: Any, start: Any, length: Any, ahead: Any) -> Any:
    """Store whole cache lines with non-temporal stores, and prefetch as many bytes ahead."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(ir.IntType(8), LINE).as_pointer()
        with cgutils.for_range_slice(builder, _WORD(0), args[2], _WORD(LINE), _WORD) as (done, _):
            _prefetch(builder, builder.add(args[3], done))
            place, line = (builder.inttoptr(builder.add(each, done), vector) for each in args[:2])
            stored = builder.store(builder.load(line, align=1), place, align=LINE)
            stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(_INT, _INT, _INT, _INT), generate


def _bits(kind: Any, wanted: Any, convert: Any) -> Any:
    """A conversion between a number and the bits of a dtype that Numba does not have."""

    @intrinsic
    def converted(context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return convert(builder, args[0])

        return wanted(kind), generate

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
