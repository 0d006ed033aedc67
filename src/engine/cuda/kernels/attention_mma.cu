// Scaled dot-product attention of half types on tensor cores, for heads that come in whole chunks: a warp has 16 queries, and
// scores, weights and results never leave its registers (Dao 2023). Results of large heads are too many for that: several
// blocks have some columns of them each, and all find the same scores. Knows no other operation.
#include "attention.cuh"
#include "mma.cuh"

// Queries of a block, and of a warp.
constexpr u32 QUERIES = 128;
constexpr u32 WARP_QUERIES = QUERIES / (THREADS / LANES);
static_assert(WARP_QUERIES == 16, "the rows of one product");
// A power of two is what cards raise fast: e to the x is 2 to the x times this.
constexpr float LOG2_E = 1.44269504f;

// Keys or values: rows of one chunk more than they need, so that eight rows' chunks of the same number are in different banks.
template <u32 KEYS, u32 COLS> struct KvTile {
    Chunk rows[KEYS][COLS / CHUNK + 1];
};

template <u32 SIZE, u32 COLS, u32 KEYS> struct KvTiles {
    KvTile<KEYS, SIZE> keys;
    KvTile<KEYS, COLS> values;
};

// What a thread sends of each tile of keys or values: every so many chunks of one row, zeros beyond the last token and the
// head's size. What does not change from tile to tile is found once.
template <u32 KEYS, u32 COLS> struct Sent {
    // Threads of a row, and chunks that each of them sends.
    static constexpr u32 THREADS_OF_ROW = THREADS / KEYS;
    static constexpr u32 EACH = (COLS / CHUNK + THREADS_OF_ROW - 1) / THREADS_OF_ROW;
    u32 row, chunk;
    // The next tile's first chunk, and what is between two tiles.
    const char* next;
    u32 step;
};

// From column `left` of row 0 on; `begin` is the head's first element.
template <class T, u32 KEYS, u32 COLS> DEVICE Sent<KEYS, COLS> begin_rows(const AttentionArgs& args, u64 begin, u32 left) {
    Sent<KEYS, COLS> sent = {};
    sent.row = threadIdx.x / Sent<KEYS, COLS>::THREADS_OF_ROW;
    sent.chunk = threadIdx.x % Sent<KEYS, COLS>::THREADS_OF_ROW;
    const u64 at = begin + sent.row * args.size + left + sent.chunk * CHUNK;
    sent.next = static_cast<const char*>(args.kv.at) + at * bytes_of<T>(args.kv);
    sent.step = KEYS * args.size * bytes_of<T>(args.kv);
    return sent;
}

// Sends columns `left ..` of the tile whose first row is `first`, and goes on to the next.
template <class T, u32 KEYS, u32 COLS>
DEVICE void send_rows(KvTile<KEYS, COLS>& tile, const AttentionArgs& args, Sent<KEYS, COLS>& sent, u32 first, u32 left) {
    typedef Sent<KEYS, COLS> S;
    const u32 columns = first + sent.row < args.tokens ? args.size : 0;
    UNROLL
    for (u32 i = 0; i < S::EACH; i++) {
        const u32 chunk = sent.chunk + i * S::THREADS_OF_ROW;
        if (i + 1 < S::EACH || COLS / CHUNK % S::THREADS_OF_ROW == 0 || chunk < COLS / CHUNK) {
            const char* from = sent.next + i * (S::THREADS_OF_ROW * CHUNK) * bytes_of<T>(args.kv);
            fetch_from<T>(&tile.rows[sent.row][chunk], from, args.kv.is_f32, left + chunk * CHUNK < columns);
        }
    }
    sent.next += sent.step;
    end_copies();
}

// What a lane has of its warp's queries: rows lane / 4 and 8 more, as products take them, and some columns of their results.
template <class T, u32 SIZE, u32 COLS> struct Rows {
    u32 queries[SIZE / 16][4];
    float out[COLS / 8][4];
    // Of both rows: the largest score yet, and this lane's share of the sum of the weights.
    float most[2];
    float sum[2];
};

// Queries as the left side of a product, from `begin` on.
template <class T, u32 SIZE, u32 COLS>
DEVICE void load_queries(Rows<T, SIZE, COLS>& rows, const AttentionArgs& args, u64 begin, u32 first) {
    const u32 lane = my_lane();
    UNROLL
    for (u32 k = 0; k < SIZE / 16; k++) {
        UNROLL
        for (u32 i = 0; i < 4; i++) {
            const u32 row = first + lane / 4 + i % 2 * 8, col = k * 16 + i / 2 * 8 + lane % 4 * 2;
            const bool there = row < args.queries && col < args.size;
            const u64 at = begin + static_cast<u64>(row) * (args.heads * args.size) + col;
            rows.queries[k][i] = there ? load_pair<T>(args.q, at) : 0;
        }
    }
}

// Scores of a warp's queries over a tile of keys.
template <u32 KEYS> struct Scores {
    float of[KEYS / 8][4];
};

template <class T, u32 SIZE, u32 COLS, u32 KEYS>
DEVICE void score(Scores<KEYS>& scores, const Rows<T, SIZE, COLS>& rows, const KvTile<KEYS, SIZE>& keys) {
    const u32 lane = my_lane();
    UNROLL
    for (u32 k = 0; k < SIZE / 16; k++) {
        UNROLL
        for (u32 pair = 0; pair < KEYS / 16; pair++) {
            u32 b[4];
            load_matrices(b, &keys.rows[pair * 16 + lane / 16 * 8 + lane % 8][k * 2 + lane / 8 % 2]);
            mma<T>(scores.of[pair * 2], rows.queries[k], b[0], b[1]);
            mma<T>(scores.of[pair * 2 + 1], rows.queries[k], b[2], b[3]);
        }
    }
}

// Scores that do not count become infinitely small. Lane and element say which key and query a score is of.
template <u32 KEYS> DEVICE void hide(Scores<KEYS>& scores, const AttentionArgs& args, u32 query, u32 key) {
    if (key + KEYS <= args.tokens && (!args.causal || key + KEYS <= query + 1)) {
        return;
    }
    const u32 lane = my_lane();
    UNROLL
    for (u32 j = 0; j < KEYS / 8; j++) {
        UNROLL
        for (u32 i = 0; i < 4; i++) {
            const u32 seen = key + j * 8 + lane % 4 * 2 + i % 2;
            const bool visible = seen < args.tokens && (!args.causal || seen <= query + lane / 4 + i / 2 * 8);
            scores.of[j][i] = visible ? scores.of[j][i] : -infinity();
        }
    }
}

// The running softmax: scores become weights, and what is there already shrinks. Four lanes have a row.
template <class T, u32 SIZE, u32 COLS, u32 KEYS>
DEVICE void weigh(Scores<KEYS>& scores, Rows<T, SIZE, COLS>& rows, float factor) {
    UNROLL
    for (u32 row = 0; row < 2; row++) {
        float most = rows.most[row];
        UNROLL
        for (u32 j = 0; j < KEYS / 8; j++) {
            most = fmaxf(most, fmaxf(scores.of[j][row * 2], scores.of[j][row * 2 + 1]));
        }
        most = fmaxf(most, shuffle_xor(most, 1));
        most = fmaxf(most, shuffle_xor(most, 2));
        const float shrink = power_of_two((rows.most[row] - most) * factor), shift = most * factor;
        rows.most[row] = most;
        float sum = 0.0f;
        UNROLL
        for (u32 j = 0; j < KEYS / 8; j++) {
            UNROLL
            for (u32 i = row * 2; i < row * 2 + 2; i++) {
                scores.of[j][i] = power_of_two(fmaf(scores.of[j][i], factor, -shift));
                sum += scores.of[j][i];
            }
        }
        rows.sum[row] = rows.sum[row] * shrink + sum;
        UNROLL
        for (u32 j = 0; j < COLS / 8; j++) {
            rows.out[j][row * 2] *= shrink;
            rows.out[j][row * 2 + 1] *= shrink;
        }
    }
}

// Adds the values of a tile, weighed. Two products of scores are the left side of one product of weights.
template <class T, u32 SIZE, u32 COLS, u32 KEYS>
DEVICE void add(Rows<T, SIZE, COLS>& rows, const Scores<KEYS>& weights, const KvTile<KEYS, COLS>& values) {
    const u32 lane = my_lane();
    UNROLL
    for (u32 k = 0; k < KEYS / 16; k++) {
        const float(&left)[4] = weights.of[k * 2], (&right)[4] = weights.of[k * 2 + 1];
        const u32 a[4] = {pack<T>(left[0], left[1]), pack<T>(left[2], left[3]), pack<T>(right[0], right[1]),
                          pack<T>(right[2], right[3])};
        UNROLL
        for (u32 pair = 0; pair < COLS / 16; pair++) {
            u32 b[4];
            load_matrices_turned(b, &values.rows[k * 16 + lane % 16][pair * 2 + lane / 16]);
            mma<T>(rows.out[pair * 2], a, b[0], b[1]);
            mma<T>(rows.out[pair * 2 + 1], a, b[2], b[3]);
        }
    }
}

template <class T, u32 SIZE, u32 COLS>
DEVICE void store_rows(const Rows<T, SIZE, COLS>& rows, const AttentionArgs& args, u64 begin, u32 first, u32 left) {
    const u32 lane = my_lane();
    UNROLL
    for (u32 row = 0; row < 2; row++) {
        float sum = rows.sum[row];
        sum += shuffle_xor(sum, 1);
        sum += shuffle_xor(sum, 2);
        const u32 query = first + lane / 4 + row * 8;
        UNROLL
        for (u32 j = 0; j < COLS / 8; j++) {
            const u32 col = left + j * 8 + lane % 4 * 2;
            if (query < args.queries && col < args.size) {
                const u64 at = begin + static_cast<u64>(query) * (args.heads * args.size) + col;
                store_pair<T>(args.dst, at, rows.out[j][row * 2] / sum, rows.out[j][row * 2 + 1] / sum);
            }
        }
    }
}

// One block QUERIES queries of one head of one picture, and COLS columns of their results: blockIdx.x counts columns, then
// queries. SIZE is a head's size or more, a multiple of 16; KEYS are those of a tile.
template <class T, u32 SIZE, u32 COLS, u32 KEYS> DEVICE void attend_mma(const AttentionArgs& args) {
    typedef KvTiles<SIZE, COLS, KEYS> Tiles;
    SHARED(Tiles, tiles);
    const u32 blocks = SIZE == COLS ? 1 : (args.size + COLS - 1) / COLS;
    const u32 first = blockIdx.x / blocks * QUERIES, left = blockIdx.x % blocks * COLS;
    const u32 head = blockIdx.y % args.heads, n = blockIdx.y / args.heads;
    const u64 queries = static_cast<u64>(n) * args.queries * args.heads * args.size + head * args.size;
    const u64 keys = static_cast<u64>(blockIdx.y) * args.tokens * args.size;
    const u32 query = first + my_warp() * WARP_QUERIES;
    // Key 0 is seen by every query, so that no running maximum stays infinite.
    const u32 end = args.causal && first + QUERIES < args.tokens ? first + QUERIES : args.tokens;
    Sent<KEYS, SIZE> sent_keys = begin_rows<T, KEYS, SIZE>(args, keys, 0);
    Sent<KEYS, COLS> sent_values = begin_rows<T, KEYS, COLS>(args, args.values + keys, left);
    send_rows<T>(tiles.keys, args, sent_keys, 0, 0);
    Rows<T, SIZE, COLS> rows = {};
    rows.most[0] = rows.most[1] = -infinity();
    load_queries(rows, args, queries, query);
    for (u32 key = 0; key < end; key += KEYS) {
        // The keys are there, and nobody reads the values before them any more.
        wait_for_copies<0>();
        barrier();
        send_rows<T>(tiles.values, args, sent_values, key, left);
        Scores<KEYS> scores = {};
        gather_warp();
        score(scores, rows, tiles.keys);
        hide(scores, args, query, key);
        weigh(scores, rows, args.scale * LOG2_E);
        // The values are there, and nobody reads the keys any more.
        wait_for_copies<0>();
        barrier();
        if (key + KEYS < end) {
            send_rows<T>(tiles.keys, args, sent_keys, key + KEYS, 0);
        }
        gather_warp();
        add(rows, scores, tiles.values);
    }
    store_rows(rows, args, queries, query, left);
}

template <class T> DEVICE void attention_mma_48(const AttentionArgs& args) { attend_mma<T, 48, 48, 64>(args); }
template <class T> DEVICE void attention_mma_64(const AttentionArgs& args) { attend_mma<T, 64, 64, 64>(args); }
template <class T> DEVICE void attention_mma_80(const AttentionArgs& args) { attend_mma<T, 80, 80, 64>(args); }
template <class T> DEVICE void attention_mma_96(const AttentionArgs& args) { attend_mma<T, 96, 96, 64>(args); }
template <class T> DEVICE void attention_mma_128(const AttentionArgs& args) { attend_mma<T, 128, 128, 64>(args); }
template <class T> DEVICE void attention_mma_160(const AttentionArgs& args) { attend_mma<T, 160, 160, 64>(args); }
template <class T> DEVICE void attention_mma_512(const AttentionArgs& args) { attend_mma<T, 512, 128, 32>(args); }

KERNEL_OF_HALVES(attention_mma_48, AttentionArgs)
KERNEL_OF_HALVES(attention_mma_64, AttentionArgs)
KERNEL_OF_HALVES(attention_mma_80, AttentionArgs)
KERNEL_OF_HALVES(attention_mma_96, AttentionArgs)
KERNEL_OF_HALVES(attention_mma_128, AttentionArgs)
KERNEL_OF_HALVES(attention_mma_160, AttentionArgs)
KERNEL_OF_HALVES(attention_mma_512, AttentionArgs)
