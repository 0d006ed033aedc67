// Linear layers and convolutions of half types on tensor cores, for operands that come in whole chunks. Slices of operands
// travel to shared memory while the slices before them are multiplied. Knows no other operation.
#include "mma.cuh"
#include "product.cuh"

// Lines of a block's tile: rows of `x`, and as many columns of the weight (or half as many, and their gates).
constexpr u32 LINES = 128;
// Chunks of a line that are multiplied at a time.
constexpr u32 DEEP = 4;
// Slices in shared memory: one that is multiplied, the others on their way.
constexpr u32 STAGES = 3;
// Lines that the threads fill at a time, a chunk each, and how often they do.
constexpr u32 FILL = THREADS / DEEP;
constexpr u32 FILLS = LINES / FILL;
// A warp has 64 rows and 32 columns, in products of 16 x 8; two warps beside each other have the rows, four the columns.
constexpr u32 WARP_ROWS = 64;
constexpr u32 WARP_COLS = 32;
constexpr u32 DOWN = WARP_ROWS / 16;
constexpr u32 ACROSS = WARP_COLS / 8;
// Sums of a row so far apart that a warp's stores of pairs hit different banks.
constexpr u32 PITCH_OF_SUMS = LINES + 8;

struct ProductSlice {
    Chunk x[LINES][DEEP];
    Chunk weight[LINES][DEEP];
};

union MmaTiles {
    ProductSlice slices[STAGES];
    // Once everything is multiplied: the sums of half the rows.
    float sums[WARP_ROWS][PITCH_OF_SUMS];
};

// Where a chunk of a line lies: eight lines' chunks of the same number are in different banks.
DEVICE u32 place(u32 line, u32 chunk) { return chunk ^ (line / 2 % DEEP); }

// What a thread sends slice by slice: a chunk of some lines. Depth goes first, then taps.
struct ProductFeed {
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

template <u32 HALVES> DEVICE ProductFeed begin_feed(const ProductArgs& args, u32 top, u32 left) {
    ProductFeed feed = {};
    feed.line = threadIdx.x / DEEP;
    feed.chunk = threadIdx.x % DEEP;
    UNROLL
    for (u32 i = 0; i < FILLS; i++) {
        const u32 line = feed.line + i * FILL, half = line / (LINES / HALVES), col = left + line % (LINES / HALVES);
        feed.pixels[i] = pixel(args, top + line);
        feed.known[i] = col < args.cols;
        feed.weight[i] = (static_cast<u64>(half) * args.cols + col) * args.kernel * args.kernel * args.depth;
    }
    return feed;
}

// Sends the next slice. It is there when this thread's copies were waited for, and a barrier was after that.
template <class T> DEVICE void send(const ProductArgs& args, ProductFeed& feed, ProductSlice& slice) {
    const Operand weight = {const_cast<void*>(args.weight), 0, 0};
    const u32 k = feed.first + feed.chunk * CHUNK;
    const bool deep = k < args.depth;
    UNROLL
    for (u32 i = 0; i < FILLS; i++) {
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
        for (u32 i = 0; i < FILLS; i++) {
            feed.weight[i] += args.depth;
        }
        feed.across++;
        if (feed.across == args.kernel) {
            feed.across = 0;
            feed.down++;
        }
    }
}

// The first of the 16 lines of the weight that a warp's products 2 * `pair` and the next have.
template <u32 HALVES> DEVICE u32 weight_line(u32 pair) {
    return my_warp() % (LINES / WARP_COLS) * (WARP_COLS / HALVES) + pair * (HALVES == 1 ? 16 : LINES / 2);
}

template <class T, u32 HALVES> DEVICE void multiply_slice(const ProductSlice& slice, float (&sums)[DOWN][ACROSS][4]) {
    const u32 lane = my_lane(), top = my_warp() / (LINES / WARP_COLS) * WARP_ROWS;
    gather_warp();
    UNROLL
    for (u32 k = 0; k < DEEP; k += 2) {
        u32 x[DOWN][4], weight[ACROSS / 2][4];
        UNROLL
        for (u32 i = 0; i < DOWN; i++) {
            const u32 line = top + i * 16 + lane % 16;
            load_matrices(x[i], &slice.x[line][place(line, k + lane / 16)]);
        }
        UNROLL
        for (u32 pair = 0; pair < ACROSS / 2; pair++) {
            const u32 line = weight_line<HALVES>(pair) + lane / 16 * 8 + lane % 8;
            load_matrices(weight[pair], &slice.weight[line][place(line, k + lane / 8 % 2)]);
        }
        mma_tile<T>(sums, x, weight);
    }
}

// What follows the product, by threads that have neighbouring columns. The sums come through shared memory in two halves.
template <class T, u32 HALVES> DEVICE void finish_all(const ProductArgs& args, MmaTiles& tiles, const float (&sums)[DOWN][ACROSS][4]) {
    constexpr u32 WIDTH = LINES / HALVES;
    const u32 lane = my_lane(), column = threadIdx.x % WIDTH, col = blockIdx.y * WIDTH + column;
    for (u32 half = 0; half < LINES / WARP_ROWS; half++) {
        // Nobody multiplies or reads any more.
        barrier();
        if (my_warp() / (LINES / WARP_COLS) == half) {
            UNROLL
            for (u32 i = 0; i < DOWN; i++) {
                UNROLL
                for (u32 j = 0; j < ACROSS; j++) {
                    const u32 down = i * 16 + lane / 4, across = weight_line<HALVES>(j / 2) + j % 2 * 8 + lane % 4 * 2;
                    tiles.sums[down][across] = sums[i][j][0];
                    tiles.sums[down][across + 1] = sums[i][j][1];
                    tiles.sums[down + 8][across] = sums[i][j][2];
                    tiles.sums[down + 8][across + 1] = sums[i][j][3];
                }
            }
        }
        barrier();
        const u32 first = blockIdx.x * LINES + half * WARP_ROWS, rows = args.pictures * args.to_h * args.to_w;
        for (u32 line = threadIdx.x / WIDTH; line < WARP_ROWS; line += THREADS / WIDTH) {
            if (first + line < rows && col < args.cols) {
                finish<T>(args, first + line, col, tiles.sums[line][column], tiles.sums[line][column + LINES - WIDTH]);
            }
        }
    }
}

// One block a tile, as in `product.cu`.
template <class T, u32 HALVES> DEVICE void multiply_mma(const ProductArgs& args) {
    SHARED(MmaTiles, tiles);
    const u32 slices = args.kernel * args.kernel * ((args.depth + DEEP * CHUNK - 1) / (DEEP * CHUNK));
    ProductFeed feed = begin_feed<HALVES>(args, blockIdx.x * LINES, blockIdx.y * (LINES / HALVES));
    for (u32 slice = 0; slice < STAGES - 1; slice++) {
        if (slice < slices) {
            send<T>(args, feed, tiles.slices[slice]);
        }
        end_copies();
    }
    float sums[DOWN][ACROSS][4] = {};
    for (u32 slice = 0; slice < slices; slice++) {
        // After this everybody's copies of the slice are there, and nobody reads the slice before it any more, whose place
        // the next one takes. A group without copies counts too.
        wait_for_copies<STAGES - 2>();
        barrier();
        if (slice + STAGES - 1 < slices) {
            send<T>(args, feed, tiles.slices[(slice + STAGES - 1) % STAGES]);
        }
        end_copies();
        multiply_slice<T, HALVES>(tiles.slices[slice % STAGES], sums);
    }
    finish_all<T, HALVES>(args, tiles, sums);
}

template <class T> DEVICE void product_mma(const ProductArgs& args) { multiply_mma<T, 1>(args); }
template <class T> DEVICE void product_geglu_mma(const ProductArgs& args) { multiply_mma<T, 2>(args); }

KERNEL_OF_HALVES(product_mma, ProductArgs)
KERNEL_OF_HALVES(product_geglu_mma, ProductArgs)
