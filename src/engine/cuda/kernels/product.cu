// Linear layers and convolutions in plain shared-memory tiles that need nothing of a card but f32. Knows no other operation.
#include "product.cuh"

// Rows and columns of a block's tile.
constexpr u32 TILE = 64;
// Operands of a row that are multiplied at a time.
constexpr u32 SLICE = 16;
// Rows and columns of a thread.
constexpr u32 EACH = 4;
// So far apart that a warp's stores hit different banks, and a thread's four neighbours stay aligned.
constexpr u32 PITCH = TILE + 4;

template <u32 HALVES> struct alignas(16) ProductTiles {
    float x[SLICE][PITCH];
    float weight[HALVES][SLICE][PITCH];
};

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
            inside[i] = operands(args, pixel(args, top + line + i * SLICE), tap / args.kernel, tap % args.kernel, begins[i]);
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
                finish<T, 1>(args, row, col, {{sums[0][i][j]}}, {{sums[HALVES - 1][i][j]}});
            }
        }
    }
}

template <class T> DEVICE void product(const ProductArgs& args) { multiply<T, 1>(args); }
template <class T> DEVICE void product_geglu(const ProductArgs& args) { multiply<T, 2>(args); }

KERNEL(product, ProductArgs)
KERNEL(product_geglu, ProductArgs)
