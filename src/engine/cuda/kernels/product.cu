// Linear layers and convolutions: one matrix product whose rows are pixels and whose operands are found tap by tap, and
// everything that follows it. Plain shared-memory tiles that need nothing of a card but f32. Knows no other operation.
#include "element.cuh"

// Rows and columns of a block's tile.
constexpr u32 TILE = 64;
// Operands of a row that are multiplied at a time.
constexpr u32 SLICE = 16;
// Rows and columns of a thread.
constexpr u32 EACH = 4;
// So far apart that a warp's stores hit different banks, and a thread's four neighbours stay aligned.
constexpr u32 PITCH = TILE + 4;

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
    u32 act, unused;
};

template <u32 HALVES> struct alignas(16) ProductTiles {
    float x[SLICE][PITCH];
    float weight[HALVES][SLICE][PITCH];
};

// The row (or column) of a picture of `from` that is nearest to row i of the same picture enlarged to `to`.
DEVICE u32 nearest(u32 i, u32 from, u32 to, float scale) {
    if (from == to) {
        return i;
    }
    const u32 found = static_cast<u32>(static_cast<float>(i) * scale);
    return found < from ? found : from - 1;
}

// Where the operands of result row `row` and tap `tap` begin in `x`; false where the tap is outside of the picture.
DEVICE bool operands(const ProductArgs& args, u32 row, u32 tap, u64& begin) {
    const u32 picture = args.to_h * args.to_w;
    if (row >= args.pictures * picture) {
        return false;
    }
    const u32 n = row / picture, oy = row % picture / args.to_w, ox = row % args.to_w;
    // Above and to the left of the picture these wrap around to huge numbers.
    const u32 y = oy * args.stride + tap / args.kernel - args.pad;
    const u32 x = ox * args.stride + tap % args.kernel - args.pad;
    if (y >= args.height || x >= args.width) {
        return false;
    }
    const u64 line = static_cast<u64>(n) * args.from_h + nearest(y, args.from_h, args.height, args.down);
    begin = (line * args.from_w + nearest(x, args.from_w, args.width, args.across)) * args.depth;
    return true;
}

// Bias, shift, activation and residual of one element, and its way to the result.
template <class T> DEVICE void finish(const ProductArgs& args, u32 row, u32 col, float value, float gate) {
    if (args.bias != nullptr) {
        value += args.bias[col];
        gate += args.act == GEGLU ? args.bias[args.cols + col] : 0.0f;
    }
    if (args.shift.at != nullptr) {
        value += load<T>(args.shift, static_cast<u64>(row / (args.to_h * args.to_w)) * args.cols + col);
    }
    value = args.act == GEGLU ? value * gelu(gate) : activated(value, args.act);
    const u64 at = static_cast<u64>(row) * args.cols + col;
    if (args.residual.at != nullptr) {
        value += load<T>(args.residual, at);
    }
    store<T>(args.dst, at, value);
}

// One block a tile: blockIdx.x counts rows, of which there are more, blockIdx.y columns.
template <class T, u32 HALVES> DEVICE void multiply(const ProductArgs& args) {
    SHARED(ProductTiles<HALVES>, tiles);
    const T* weight = static_cast<const T*>(args.weight);
    const u32 taps = args.kernel * args.kernel;
    const u32 top = blockIdx.x * TILE, left = blockIdx.y * TILE;
    // For filling the tiles: neighbouring threads read neighbouring operands of a row.
    const u32 k = threadIdx.x % SLICE, line = threadIdx.x / SLICE;
    // For multiplying.
    const u32 down = threadIdx.x / (TILE / EACH) * EACH, across = threadIdx.x % (TILE / EACH) * EACH;
    float sums[HALVES][EACH][EACH] = {};
    for (u32 tap = 0; tap < taps; tap++) {
        u64 begins[EACH];
        bool inside[EACH];
        UNROLL
        for (u32 i = 0; i < EACH; i++) {
            inside[i] = operands(args, top + line + i * SLICE, tap, begins[i]);
        }
        for (u32 first = 0; first < args.depth; first += SLICE) {
            const bool deep = first + k < args.depth;
            UNROLL
            for (u32 i = 0; i < EACH; i++) {
                const u32 at = line + i * SLICE;
                tiles.x[k][at] = deep && inside[i] ? load<T>(args.x, begins[i] + first + k) : 0.0f;
                UNROLL
                for (u32 half = 0; half < HALVES; half++) {
                    const u64 row = static_cast<u64>(half) * args.cols + left + at;
                    const bool there = deep && left + at < args.cols;
                    tiles.weight[half][k][at] = there ? widen(weight[(row * taps + tap) * args.depth + first + k]) : 0.0f;
                }
            }
            barrier();
            for (u32 s = 0; s < SLICE; s++) {
                UNROLL
                for (u32 half = 0; half < HALVES; half++) {
                    UNROLL
                    for (u32 i = 0; i < EACH; i++) {
                        UNROLL
                        for (u32 j = 0; j < EACH; j++) {
                            sums[half][i][j] += tiles.x[s][down + i] * tiles.weight[half][s][across + j];
                        }
                    }
                }
            }
            barrier();
        }
    }
    UNROLL
    for (u32 i = 0; i < EACH; i++) {
        UNROLL
        for (u32 j = 0; j < EACH; j++) {
            const u32 row = top + down + i, col = left + across + j;
            if (row < args.pictures * args.to_h * args.to_w && col < args.cols) {
                finish<T>(args, row, col, sums[0][i][j], sums[HALVES - 1][i][j]);
            }
        }
    }
}

template <class T> DEVICE void product(const ProductArgs& args) { multiply<T, 1>(args); }
template <class T> DEVICE void product_geglu(const ProductArgs& args) { multiply<T, 2>(args); }

KERNEL(product, ProductArgs)
KERNEL(product_geglu, ProductArgs)
