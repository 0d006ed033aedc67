// Linear layers and convolutions as one matrix product whose rows are pixels and whose operands are found tap by tap: what the
// kernels are told, where operands lie, and everything that follows the product. Knows no tile.
#pragma once
#include "element.cuh"

struct ProductArgs {
    // [pictures, to_h, to_w, cols]
    Operand dst;
    // [pictures, from_h, from_w, depth]
    Operand x;
    // [pictures, cols], or nothing
    Operand shift;
    // As `dst`, or nothing
    Operand residual;
    // [halves, cols, kernel * kernel, depth] of T
    const void* weight;
    // [halves, cols], or nothing
    const float* bias;
    u32 pictures, from_h, from_w, depth;
    u32 to_h, to_w, cols, kernel;
    u32 stride, pad;
    // The picture enlarged: its rows and columns, and what an index is multiplied with to find the nearest one.
    u32 height, width;
    float down, across;
    u32 act;
    // Parts of a sum, by a block each, and slices of operands that a part has (the last may have fewer).
    u32 parts, part;
    // Neighbouring results that a thread finishes together on tensor cores: a whole chunk or one.
    u32 each;
    // [parts, pictures, to_h, to_w, cols], where there are several
    float* sums;
};

// The row (or column) of a picture of `from` that is nearest to row i of the same picture enlarged to `to`.
DEVICE u32 nearest(u32 i, u32 from, u32 to, float scale) {
    if (from == to) {
        return i;
    }
    const u32 found = static_cast<u32>(static_cast<float>(i) * scale);
    return found < from ? found : from - 1;
}

// A pixel of the result, or where there is none, one whose taps are all outside. The first line of its picture in `x`, and
// the row and column of its first tap; above and to the left of the picture these wrap around to huge numbers.
struct Pixel {
    u32 line, y, x;
};

DEVICE Pixel pixel(const ProductArgs& args, u32 row) {
    const u32 picture = args.to_h * args.to_w;
    if (row >= args.pictures * picture) {
        return Pixel{0, 1u << 31, 0};
    }
    const u32 oy = row % picture / args.to_w, ox = row % picture % args.to_w;
    return Pixel{row / picture * args.from_h, oy * args.stride - args.pad, ox * args.stride - args.pad};
}

// Where the operands of a pixel and the tap `down` and `across` from its first begin in `x`; false where the tap is outside
// of the picture.
DEVICE bool operands(const ProductArgs& args, const Pixel& pixel, u32 down, u32 across, u64& begin) {
    const u32 y = pixel.y + down, x = pixel.x + across;
    if (y >= args.height || x >= args.width) {
        return false;
    }
    const u64 line = static_cast<u64>(pixel.line) + nearest(y, args.from_h, args.height, args.down);
    begin = (line * args.from_w + nearest(x, args.from_w, args.width, args.across)) * args.depth;
    return true;
}

// Bias, shift, activation and residual of N neighbouring elements, and their way to the result.
template <class T, u32 N> DEVICE void finish(const ProductArgs& args, u32 row, u32 col, Some<N> value, Some<N> gate) {
    if (args.bias != nullptr) {
        const Some<N> bias = widen_some<float, N>(args.bias + col);
        add(value, bias);
        if (args.act == GEGLU) {
            add(gate, widen_some<float, N>(args.bias + args.cols + col));
        }
    }
    if (args.shift.at != nullptr) {
        add(value, load_some<T, N>(args.shift, static_cast<u64>(row / (args.to_h * args.to_w)) * args.cols + col));
    }
    UNROLL
    for (u32 j = 0; j < N; j++) {
        value.x[j] = args.act == GEGLU ? value.x[j] * gelu(gate.x[j]) : activated(value.x[j], args.act);
    }
    const u64 at = static_cast<u64>(row) * args.cols + col;
    if (args.residual.at != nullptr) {
        add(value, load_some<T, N>(args.residual, at));
    }
    store_some<T>(args.dst, at, value);
}
