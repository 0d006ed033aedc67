// Linear layers and convolutions of half types on tensor cores, for operands that come in whole chunks. Slices of operands
// travel to shared memory while the slices before them are multiplied. Several blocks may have a part of a sum each, and
// another kernel adds the parts up in their order. Knows no other operation.
#include "mma.cuh"
#include "product.cuh"

// Chunks of a line that are multiplied at a time.
constexpr u32 DEEP = 4;
// Lines that the threads fill at a time, a chunk each.
constexpr u32 FILL = THREADS / DEEP;
// Warps that have the columns of a tile beside each other; two have its rows.
constexpr u32 WARPS_ACROSS = THREADS / LANES / 2;

// Extents that follow from the lines of a block's tile: rows of `x`, and as many columns of the weight (or half as many, and
// their gates). Whatever the tile, a result is the same sum in the same order.
template <u32 LINES> struct Tile {
    // How often the threads fill.
    static constexpr u32 FILLS = LINES / FILL;
    // Slices in shared memory: one that is multiplied, the others on their way. Small tiles leave room for one more.
    static constexpr u32 STAGES = LINES < 128 ? 4 : 3;
    // Of a warp, in products of 16 x 8.
    static constexpr u32 WARP_ROWS = LINES / 2;
    static constexpr u32 WARP_COLS = LINES / WARPS_ACROSS;
    static constexpr u32 DOWN = WARP_ROWS / 16;
    static constexpr u32 ACROSS = WARP_COLS / 8;
    // Sums of a row so far apart that a warp's stores of pairs hit different banks.
    static constexpr u32 PITCH = LINES + 8;
};

template <u32 LINES> struct ProductSlice {
    Chunk x[LINES][DEEP];
    Chunk weight[LINES][DEEP];
};

template <u32 LINES> union MmaTiles {
    ProductSlice<LINES> slices[Tile<LINES>::STAGES];
    // Once everything is multiplied: the sums of half the rows.
    float sums[Tile<LINES>::WARP_ROWS][Tile<LINES>::PITCH];
};

// Where a chunk of a line lies: eight lines' chunks of the same number are in different banks.
DEVICE u32 place(u32 line, u32 chunk) { return chunk ^ (line / 2 % DEEP); }

// What a thread sends slice by slice: a chunk of some lines. Depth goes first, then taps.
template <u32 LINES> struct ProductFeed {
    static constexpr u32 FILLS = Tile<LINES>::FILLS;
    u32 line, chunk;
    // The next slice: its tap, and its first operand.
    u32 down, across, first;
    // Of the lines of `x`: where the tap's operands begin.
    Pixel pixels[FILLS];
    u64 x[FILLS];
    bool inside[FILLS];
    // Of the lines of the weight likewise. Taps follow each other.
    u64 weight[FILLS];
    bool known[FILLS];
};

// Slices of a tap.
DEVICE u32 slices_of_tap(const ProductArgs& args) { return (args.depth + DEEP * CHUNK - 1) / (DEEP * CHUNK); }

// From slice `first` on.
template <u32 LINES, u32 HALVES> DEVICE ProductFeed<LINES> begin_feed(const ProductArgs& args, u32 top, u32 left, u32 first) {
    ProductFeed<LINES> feed = {};
    const u32 tap = first / slices_of_tap(args), taps = args.kernel * args.kernel;
    feed.down = tap / args.kernel;
    feed.across = tap % args.kernel;
    feed.first = first % slices_of_tap(args) * (DEEP * CHUNK);
    feed.line = threadIdx.x / DEEP;
    feed.chunk = threadIdx.x % DEEP;
    UNROLL
    for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
        const u32 line = feed.line + i * FILL, half = line / (LINES / HALVES), col = left + line % (LINES / HALVES);
        feed.pixels[i] = pixel(args, top + line);
        feed.known[i] = col < args.cols;
        feed.inside[i] = operands(args, feed.pixels[i], feed.down, feed.across, feed.x[i]);
        feed.weight[i] = ((static_cast<u64>(half) * args.cols + col) * taps + tap) * args.depth;
    }
    return feed;
}

// Sends the next slice. It is there when this thread's copies were waited for, and a barrier was after that.
template <class T, u32 LINES> DEVICE void send(const ProductArgs& args, ProductFeed<LINES>& feed, ProductSlice<LINES>& slice) {
    const Operand weight = {const_cast<void*>(args.weight), 0, 0};
    const u32 k = feed.first + feed.chunk * CHUNK;
    const bool deep = k < args.depth;
    UNROLL
    for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
        if (feed.first == 0) {
            feed.inside[i] = operands(args, feed.pixels[i], feed.down, feed.across, feed.x[i]);
        }
        const u32 line = feed.line + i * FILL, at = place(line, feed.chunk);
        fetch<T>(&slice.x[line][at], args.x, feed.x[i] + k, deep && feed.inside[i]);
        fetch<T>(&slice.weight[line][at], weight, feed.weight[i] + k, deep && feed.known[i]);
    }
    feed.first += DEEP * CHUNK;
    if (feed.first >= args.depth) {
        feed.first = 0;
        UNROLL
        for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
            feed.weight[i] += args.depth;
        }
        feed.across++;
        if (feed.across == args.kernel) {
            feed.across = 0;
            feed.down++;
        }
    }
}

// The first of a warp's rows, and of its lines of the weight.
template <u32 LINES> DEVICE u32 warp_top() { return my_warp() / WARPS_ACROSS * Tile<LINES>::WARP_ROWS; }
template <u32 LINES> DEVICE u32 warp_left() { return my_warp() % WARPS_ACROSS * Tile<LINES>::WARP_COLS; }

// A warp's sums, as its products have them.
template <u32 LINES> struct WarpSums {
    float of[Tile<LINES>::DOWN][Tile<LINES>::ACROSS][4];
};

template <class T, u32 LINES> DEVICE void multiply_slice(const ProductSlice<LINES>& slice, WarpSums<LINES>& sums) {
    constexpr u32 DOWN = Tile<LINES>::DOWN, PAIRS = Tile<LINES>::ACROSS / 2;
    const u32 lane = my_lane();
    gather_warp();
    UNROLL
    for (u32 k = 0; k < DEEP; k += 2) {
        u32 x[DOWN][4], weight[PAIRS][4];
        UNROLL
        for (u32 i = 0; i < DOWN; i++) {
            const u32 line = warp_top<LINES>() + i * 16 + lane % 16;
            load_matrices(x[i], &slice.x[line][place(line, k + lane / 16)]);
        }
        UNROLL
        for (u32 pair = 0; pair < PAIRS; pair++) {
            const u32 line = warp_left<LINES>() + pair * 16 + lane / 16 * 8 + lane % 8;
            load_matrices(weight[pair], &slice.weight[line][place(line, k + lane / 8 % 2)]);
        }
        mma_tile<T>(sums.of, x, weight);
    }
}

// The part of the sums that a block has, and the first of its columns.
struct Share {
    u32 part, left;
};

template <u32 LINES, u32 HALVES> DEVICE Share my_share(const ProductArgs& args) {
    constexpr u32 WIDTH = LINES / HALVES;
    const u32 across = (args.cols + WIDTH - 1) / WIDTH;
    return Share{blockIdx.y / across, blockIdx.y % across * WIDTH};
}

// What follows the product of some rows, from `first` on, by threads that have N neighbouring columns each.
template <class T, u32 LINES, u32 HALVES, u32 N>
DEVICE void finish_rows(const ProductArgs& args, const MmaTiles<LINES>& tiles, const Share& share, u32 first) {
    constexpr u32 WIDTH = LINES / HALVES;
    const u32 rows = args.pictures * args.to_h * args.to_w;
    const u32 column = threadIdx.x % (WIDTH / N) * N, col = share.left + column;
    for (u32 line = threadIdx.x / (WIDTH / N); line < Tile<LINES>::WARP_ROWS; line += THREADS / (WIDTH / N)) {
        const u32 row = first + line;
        if (row >= rows || col >= args.cols) {
            continue;
        }
        Some<N> sum, gate;
        UNROLL
        for (u32 j = 0; j < N; j++) {
            sum.x[j] = tiles.sums[line][column + j];
            gate.x[j] = tiles.sums[line][column + j + LINES - WIDTH];
        }
        // Gates are in one block with their columns, and are never in parts.
        if (HALVES == 2 || args.parts == 1) {
            finish<T, N>(args, row, col, sum, gate);
        } else {
            narrow_some<float, N>(args.sums + (static_cast<u64>(share.part) * rows + row) * args.cols + col, sum);
        }
    }
}

// What follows the product. The sums come through shared memory in two halves.
template <class T, u32 LINES, u32 HALVES>
DEVICE void finish_all(const ProductArgs& args, MmaTiles<LINES>& tiles, const WarpSums<LINES>& sums) {
    const Share share = my_share<LINES, HALVES>(args);
    const u32 lane = my_lane();
    for (u32 half = 0; half < 2; half++) {
        // Nobody multiplies or reads any more.
        barrier();
        if (my_warp() / WARPS_ACROSS == half) {
            UNROLL
            for (u32 i = 0; i < Tile<LINES>::DOWN; i++) {
                UNROLL
                for (u32 j = 0; j < Tile<LINES>::ACROSS; j++) {
                    const u32 down = i * 16 + lane / 4, across = warp_left<LINES>() + j * 8 + lane % 4 * 2;
                    tiles.sums[down][across] = sums.of[i][j][0];
                    tiles.sums[down][across + 1] = sums.of[i][j][1];
                    tiles.sums[down + 8][across] = sums.of[i][j][2];
                    tiles.sums[down + 8][across + 1] = sums.of[i][j][3];
                }
            }
        }
        barrier();
        const u32 first = blockIdx.x * LINES + half * Tile<LINES>::WARP_ROWS;
        if (args.each == CHUNK) {
            finish_rows<T, LINES, HALVES, CHUNK>(args, tiles, share, first);
        } else {
            finish_rows<T, LINES, HALVES, 1>(args, tiles, share, first);
        }
    }
}

// One block a tile, as in `product.cu`, or a part of its sums: blockIdx.y counts columns, then parts.
template <class T, u32 LINES, u32 HALVES> DEVICE void multiply_mma(const ProductArgs& args) {
    constexpr u32 STAGES = Tile<LINES>::STAGES;
    SHARED(MmaTiles<LINES>, tiles);
    const Share share = my_share<LINES, HALVES>(args);
    const u32 begin = share.part * args.part, all = args.kernel * args.kernel * slices_of_tap(args);
    const u32 slices = begin + args.part < all ? args.part : all - begin;
    ProductFeed<LINES> feed = begin_feed<LINES, HALVES>(args, blockIdx.x * LINES, share.left, begin);
    for (u32 slice = 0; slice < STAGES - 1; slice++) {
        if (slice < slices) {
            send<T>(args, feed, tiles.slices[slice]);
        }
        end_copies();
    }
    WarpSums<LINES> sums = {};
    for (u32 slice = 0; slice < slices; slice++) {
        // After this everybody's copies of the slice are there, and nobody reads the slice before it any more, whose place
        // the next one takes. A group without copies counts too.
        wait_for_copies<STAGES - 2>();
        barrier();
        if (slice + STAGES - 1 < slices) {
            send<T>(args, feed, tiles.slices[(slice + STAGES - 1) % STAGES]);
        }
        end_copies();
        multiply_slice<T>(tiles.slices[slice % STAGES], sums);
    }
    finish_all<T, LINES, HALVES>(args, tiles, sums);
}

// Results of which there are parts.
template <class T, u32 N> DEVICE void product_sum_of(const ProductArgs& args) {
    const u64 results = static_cast<u64>(args.pictures * args.to_h * args.to_w) * args.cols, i = static_cast<u64>(my_thread()) * N;
    if (i >= results) {
        return;
    }
    Some<N> sum = widen_some<float, N>(args.sums + i);
    for (u32 part = 1; part < args.parts; part++) {
        add(sum, widen_some<float, N>(args.sums + part * results + i));
    }
    const u32 width = args.cols / N;
    finish<T, N>(args, my_thread() / width, my_thread() % width * N, sum, {});
}
BY_CHUNKS(product_sum, ProductArgs)

template <class T> DEVICE void product_mma_64(const ProductArgs& args) { multiply_mma<T, 64, 1>(args); }
template <class T> DEVICE void product_mma_128(const ProductArgs& args) { multiply_mma<T, 128, 1>(args); }
template <class T> DEVICE void product_geglu_mma_64(const ProductArgs& args) { multiply_mma<T, 64, 2>(args); }
template <class T> DEVICE void product_geglu_mma_128(const ProductArgs& args) { multiply_mma<T, 128, 2>(args); }

KERNEL_OF_HALVES(product_sum, ProductArgs)
KERNEL_OF_HALVES(product_mma_64, ProductArgs)
KERNEL_OF_HALVES(product_mma_128, ProductArgs)
KERNEL_OF_HALVES(product_geglu_mma_64, ProductArgs)
KERNEL_OF_HALVES(product_geglu_mma_128, ProductArgs)
