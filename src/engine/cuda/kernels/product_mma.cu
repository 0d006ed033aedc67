// Linear layers and convolutions of half types on tensor cores, for operands that come in whole chunks. Slices of operands
// travel to shared memory while the slices before them are multiplied. Several blocks may have a part of a sum each, and
// another kernel adds the parts up in their order. Knows no other operation.
#include "mma.cuh"
#include "product.cuh"

// Chunks of a line by which taps and parts of sums are counted.
constexpr u32 STRIDE = 8;
// Slices in shared memory: one that is multiplied, the others on their way.
constexpr u32 STAGES = 3;
// Warps that have the columns of a tile beside each other; two have its rows.
constexpr u32 WARPS_ACROSS = THREADS / LANES / 2;

// Extents that follow from the lines of a block's tile: rows of `x`, and as many columns of the weight (or half as many, and
// their gates). Whatever the tile, a result is the same sum in the same order.
template <u32 LINES> struct Tile {
    // Chunks of a line that are multiplied at a time: as many as there is room for.
    static constexpr u32 DEEP = LINES < 128 ? STRIDE : STRIDE / 2;
    static constexpr u32 OPERANDS = DEEP * CHUNK;
    // Lines that the threads fill at a time, a chunk each, and how often they do.
    static constexpr u32 FILL = THREADS / DEEP;
    static constexpr u32 FILLS = LINES / FILL;
    // Of a warp, in products of 16 x 8.
    static constexpr u32 WARP_ROWS = LINES / 2;
    static constexpr u32 WARP_COLS = LINES / WARPS_ACROSS;
    static constexpr u32 DOWN = WARP_ROWS / 16;
    static constexpr u32 ACROSS = WARP_COLS / 8;
    // Sums of a row so far apart that a warp's stores of pairs hit different banks.
    static constexpr u32 PITCH = LINES + 8;
};

template <u32 LINES> struct ProductSlice {
    Chunk x[LINES][Tile<LINES>::DEEP];
    Chunk weight[LINES][Tile<LINES>::DEEP];
};

template <u32 LINES> union MmaTiles {
    ProductSlice<LINES> slices[STAGES];
    // Once everything is multiplied: the sums of half the rows.
    float sums[Tile<LINES>::WARP_ROWS][Tile<LINES>::PITCH];
};

// Where a chunk of a line lies in a slice: eight lines' chunks of the same number are in different banks.
template <u32 LINES> DEVICE u32 place(u32 line, u32 chunk) {
    constexpr u32 DEEP = Tile<LINES>::DEEP;
    return line * DEEP + (chunk ^ (line / (8 / DEEP) % DEEP));
}

// What a thread sends slice by slice: a chunk of some lines. Depth goes first, then taps. Everything that does not change from
// slice to slice is found once: what is left to do between products is to count on.
template <u32 LINES> struct ProductFeed {
    static constexpr u32 FILLS = Tile<LINES>::FILLS;
    // The first of the lines, which chunk of each, and where in a slice the first one's lies; the others' follow at equal distances.
    u32 line, chunk, at;
    // The next slice: its tap, and its first operand.
    u32 down, across, first;
    // Of the lines of `x`: where the next chunk is. Outside of the picture it is somewhere in `x`, and nobody looks.
    Pixel pixels[FILLS];
    const char* x[FILLS];
    // Operands of the tap: its depth, or none outside of the picture.
    u32 depth_of_x[FILLS];
    // Of the lines of the weight likewise. Taps follow each other.
    const char* weight[FILLS];
    u32 depth_of_weight[FILLS];
};

// Operands of a tap, and zeros after them.
DEVICE u32 operands_of_tap(const ProductArgs& args) { return (args.depth + STRIDE * CHUNK - 1) / (STRIDE * CHUNK) * (STRIDE * CHUNK); }

// Finds the tap's chunks of `x`, from its operand `first` on.
template <class T, u32 LINES> DEVICE void begin_tap(const ProductArgs& args, ProductFeed<LINES>& feed) {
    UNROLL
    for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
        u64 begin = 0;
        feed.depth_of_x[i] = operands(args, feed.pixels[i], feed.down, feed.across, begin) ? args.depth : 0;
        feed.x[i] = static_cast<const char*>(args.x.at) + (begin + feed.first + feed.chunk * CHUNK) * bytes_of<T>(args.x);
    }
}

// From operand `first` on, of those of all taps.
template <class T, u32 LINES, u32 HALVES>
DEVICE ProductFeed<LINES> begin_feed(const ProductArgs& args, u32 top, u32 left, u32 first) {
    ProductFeed<LINES> feed = {};
    const u32 tap = first / operands_of_tap(args), taps = args.kernel * args.kernel;
    feed.down = tap / args.kernel;
    feed.across = tap % args.kernel;
    feed.first = first % operands_of_tap(args);
    feed.line = threadIdx.x / Tile<LINES>::DEEP;
    feed.chunk = threadIdx.x % Tile<LINES>::DEEP;
    feed.at = place<LINES>(feed.line, feed.chunk);
    keep(feed.at);
    UNROLL
    for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
        const u32 line = feed.line + i * Tile<LINES>::FILL, half = line / (LINES / HALVES), col = left + line % (LINES / HALVES);
        feed.pixels[i] = pixel(args, top + line);
        feed.depth_of_weight[i] = col < args.cols ? args.depth : 0;
        const u64 begin = col < args.cols ? ((static_cast<u64>(half) * args.cols + col) * taps + tap) * args.depth : 0;
        feed.weight[i] = static_cast<const char*>(args.weight) + (begin + feed.first + feed.chunk * CHUNK) * sizeof(T);
    }
    begin_tap<T>(args, feed);
    return feed;
}

// Goes on to the next tap.
template <class T, u32 LINES> DEVICE void next_tap(const ProductArgs& args, ProductFeed<LINES>& feed) {
    UNROLL
    for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
        // Its last slices may have gone beyond it.
        feed.weight[i] -= (feed.first - args.depth) * sizeof(T);
    }
    feed.first = 0;
    feed.across++;
    if (feed.across == args.kernel) {
        feed.across = 0;
        feed.down++;
    }
    begin_tap<T>(args, feed);
}

// Sends the next slice. It is there when this thread's copies were waited for, and a barrier was after that.
template <class T, u32 LINES> DEVICE void send(const ProductArgs& args, ProductFeed<LINES>& feed, ProductSlice<LINES>& slice) {
    if (feed.first >= operands_of_tap(args)) {
        next_tap<T>(args, feed);
    }
    const u32 k = feed.first + feed.chunk * CHUNK;
    UNROLL
    for (u32 i = 0; i < Tile<LINES>::FILLS; i++) {
        const u32 at = feed.at + i * THREADS;
        fetch_from<T>(&slice.x[0][0] + at, feed.x[i], args.x.is_f32, k < feed.depth_of_x[i]);
        fetch_from<T>(&slice.weight[0][0] + at, feed.weight[i], false, k < feed.depth_of_weight[i]);
        feed.x[i] += Tile<LINES>::OPERANDS * bytes_of<T>(args.x);
        feed.weight[i] += Tile<LINES>::OPERANDS * sizeof(T);
    }
    feed.first += Tile<LINES>::OPERANDS;
}

// The first of a warp's rows, and of its lines of the weight.
template <u32 LINES> DEVICE u32 warp_top() { return my_warp() / WARPS_ACROSS * Tile<LINES>::WARP_ROWS; }
template <u32 LINES> DEVICE u32 warp_left() { return my_warp() % WARPS_ACROSS * Tile<LINES>::WARP_COLS; }

// A warp's sums, as its products have them.
template <u32 LINES> struct WarpSums {
    float of[Tile<LINES>::DOWN][Tile<LINES>::ACROSS][4];
};

// Where a lane finds the rows that it names of the first matrices of a slice. Later ones lie at equal distances, and the chunks
// after the next exchange places with these (`place`).
struct LanePlaces {
    u32 x, weight;
};

template <u32 LINES> DEVICE LanePlaces lane_places() {
    const u32 lane = my_lane();
    const u32 row = warp_top<LINES>() + lane % 16, line = warp_left<LINES>() + lane / 16 * 8 + lane % 8;
    LanePlaces places = {place<LINES>(row, lane / 16), place<LINES>(line, lane / 8 % 2)};
    keep(places.x);
    keep(places.weight);
    return places;
}

template <class T, u32 LINES>
DEVICE void multiply_slice(const ProductSlice<LINES>& slice, const LanePlaces& places, WarpSums<LINES>& sums) {
    constexpr u32 DEEP = Tile<LINES>::DEEP, DOWN = Tile<LINES>::DOWN, PAIRS = Tile<LINES>::ACROSS / 2;
    gather_warp();
    UNROLL
    for (u32 k = 0; k < DEEP; k += 2) {
        u32 x[DOWN][4], weight[PAIRS][4];
        UNROLL
        for (u32 i = 0; i < DOWN; i++) {
            load_matrices(x[i], &slice.x[0][0] + (places.x ^ k) + i * (16 * DEEP));
        }
        UNROLL
        for (u32 pair = 0; pair < PAIRS; pair++) {
            load_matrices(weight[pair], &slice.weight[0][0] + (places.weight ^ k) + pair * (16 * DEEP));
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
    constexpr u32 OPERANDS = Tile<LINES>::OPERANDS;
    SHARED(MmaTiles<LINES>, tiles);
    const Share share = my_share<LINES, HALVES>(args);
    const u32 part = args.part * (STRIDE * CHUNK), begin = share.part * part, all = args.kernel * args.kernel * operands_of_tap(args);
    const u32 slices = (begin + part < all ? part : all - begin) / OPERANDS;
    ProductFeed<LINES> feed = begin_feed<T, LINES, HALVES>(args, blockIdx.x * LINES, share.left, begin);
    for (u32 slice = 0; slice < STAGES - 1; slice++) {
        if (slice < slices) {
            send<T>(args, feed, tiles.slices[slice]);
        }
        end_copies();
    }
    WarpSums<LINES> sums = {};
    const LanePlaces places = lane_places<LINES>();
    // The slice that is multiplied, and the place that is free.
    u32 stage = 0, free = STAGES - 1;
    for (u32 slice = 0; slice < slices; slice++) {
        // After this everybody's copies of the slice are there, and nobody reads the slice before it any more, whose place
        // the next one takes. A group without copies counts too.
        wait_for_copies<STAGES - 2>();
        barrier();
        if (slice + STAGES - 1 < slices) {
            send<T>(args, feed, tiles.slices[free]);
        }
        end_copies();
        multiply_slice<T>(tiles.slices[stage], places, sums);
        free = stage;
        stage = stage + 1 == STAGES ? 0 : stage + 1;
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
KERNEL_OF_HALVES_AND_BLOCKS(product_mma_64, ProductArgs, 3)
KERNEL_OF_HALVES_AND_BLOCKS(product_mma_128, ProductArgs, 2)
KERNEL_OF_HALVES_AND_BLOCKS(product_geglu_mma_64, ProductArgs, 3)
KERNEL_OF_HALVES_AND_BLOCKS(product_geglu_mma_128, ProductArgs, 2)
