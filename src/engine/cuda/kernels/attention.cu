// Scaled dot-product attention, tile of keys by tile of keys with a running softmax (Dao et al. 2022), and the layout of its
// keys and values. Heads of any size: both products go through shared memory in slices. Knows no other operation.
#include "attention.cuh"

// Queries and keys of a tile, and elements of a head that are multiplied at a time.
constexpr u32 SPAN = 32;
// A thread has every HALF-th of them.
constexpr u32 HALF = SPAN / 2;
constexpr u32 PITCH_OF_SPAN = SPAN + 1;

struct PackKvArgs {
    // Keys [n, heads, tokens, size], then values likewise
    Operand dst;
    // [n, tokens, heads * size]
    Operand k;
    Operand v;
    // Of k, and of v
    u64 count;
    u32 tokens, heads, size, each;
};

template <class T, u32 N> DEVICE void pack_kv_of(const PackKvArgs& args) {
    const u64 i = static_cast<u64>(my_thread()) * N;
    if (i >= args.count) {
        return;
    }
    const u32 width = args.size / N, line = my_thread() / width, j = my_thread() % width * N;
    const u32 token = line % args.tokens, row = line / args.tokens;
    const u64 from_line = (static_cast<u64>(row / args.heads) * args.tokens + token) * args.heads + row % args.heads;
    const u64 from = from_line * args.size + j;
    store_some<T>(args.dst, i, load_some<T, N>(args.k, from));
    store_some<T>(args.dst, args.count + i, load_some<T, N>(args.v, from));
}
BY_CHUNKS(pack_kv, PackKvArgs)

struct AttentionTiles {
    float q[SPAN][PITCH_OF_SPAN];
    // Keys, then values.
    float kv[SPAN][PITCH_OF_SPAN];
    // Scores, then what their keys weigh.
    float scores[SPAN][PITCH_OF_SPAN];
    // Of each query: the largest score yet, the sum of the weights, and what former results are multiplied with.
    float most[SPAN];
    float sum[SPAN];
    float shrink[SPAN];
};

// Fills `tile` with rows `first ..` and columns `left ..` of a matrix whose rows are `stride` apart; zeros outside of it.
template <class T>
DEVICE void fill(float (*tile)[PITCH_OF_SPAN], const Operand& from, u64 begin, u64 stride, u32 first, u32 rows, u32 left, u32 cols) {
    for (u32 i = threadIdx.x; i < SPAN * SPAN; i += THREADS) {
        const u32 row = first + i / SPAN, col = left + i % SPAN;
        tile[i / SPAN][i % SPAN] = row < rows && col < cols ? load<T>(from, begin + row * stride + col) : 0.0f;
    }
}

// The running softmax of one query over one tile of scores.
DEVICE void weigh(AttentionTiles& tiles, u32 query, float scale) {
    float* scores = tiles.scores[query];
    float most = tiles.most[query];
    for (u32 key = 0; key < SPAN; key++) {
        most = fmaxf(most, scores[key]);
    }
    float sum = 0.0f;
    for (u32 key = 0; key < SPAN; key++) {
        scores[key] = expf((scores[key] - most) * scale);
        sum += scores[key];
    }
    const float shrink = expf((tiles.most[query] - most) * scale);
    tiles.shrink[query] = shrink;
    tiles.sum[query] = tiles.sum[query] * shrink + sum;
    tiles.most[query] = most;
}

// One block SPAN queries of one head of one picture. SLICES * SPAN is a head's size or more.
template <class T, u32 SLICES> DEVICE void attend(const AttentionArgs& args) {
    SHARED(AttentionTiles, tiles);
    const u32 first = blockIdx.x * SPAN, head = blockIdx.y % args.heads, n = blockIdx.y / args.heads;
    const u32 width = args.heads * args.size;
    const u64 queries = static_cast<u64>(n) * args.queries * width + head * args.size;
    const u64 keys = static_cast<u64>(blockIdx.y) * args.tokens * args.size;
    const u32 y = threadIdx.x / HALF, x = threadIdx.x % HALF;
    // Key 0 is seen by every query, so that no running maximum stays infinite.
    const u32 end = args.causal && first + SPAN < args.tokens ? first + SPAN : args.tokens;
    if (threadIdx.x < SPAN) {
        tiles.most[threadIdx.x] = -infinity();
        tiles.sum[threadIdx.x] = 0.0f;
    }
    float out[SLICES][2][2] = {};
    for (u32 key = 0; key < end; key += SPAN) {
        // 1. Scores.
        float scores[2][2] = {};
        for (u32 left = 0; left < args.size; left += SPAN) {
            fill<T>(tiles.q, args.q, queries, width, first, args.queries, left, args.size);
            fill<T>(tiles.kv, args.kv, keys, args.size, key, args.tokens, left, args.size);
            barrier();
            for (u32 s = 0; s < SPAN; s++) {
                UNROLL
                for (u32 i = 0; i < 2; i++) {
                    UNROLL
                    for (u32 j = 0; j < 2; j++) {
                        scores[i][j] += tiles.q[y + i * HALF][s] * tiles.kv[x + j * HALF][s];
                    }
                }
            }
            barrier();
        }
        UNROLL
        for (u32 i = 0; i < 2; i++) {
            UNROLL
            for (u32 j = 0; j < 2; j++) {
                const u32 query = first + y + i * HALF, seen = key + x + j * HALF;
                const bool visible = seen < args.tokens && (!args.causal || seen <= query);
                tiles.scores[y + i * HALF][x + j * HALF] = visible ? scores[i][j] : -infinity();
            }
        }
        barrier();
        // 2. What each key weighs.
        if (threadIdx.x < SPAN) {
            weigh(tiles, threadIdx.x, args.scale);
        }
        // 3. Values. The barrier after the first slice is also the one after the weights.
        UNROLL
        for (u32 slice = 0; slice < SLICES; slice++) {
            fill<T>(tiles.kv, args.kv, args.values + keys, args.size, key, args.tokens, slice * SPAN, args.size);
            barrier();
            UNROLL
            for (u32 i = 0; i < 2; i++) {
                UNROLL
                for (u32 j = 0; j < 2; j++) {
                    float sum = out[slice][i][j] * tiles.shrink[y + i * HALF];
                    for (u32 s = 0; s < SPAN; s++) {
                        sum += tiles.scores[y + i * HALF][s] * tiles.kv[s][x + j * HALF];
                    }
                    out[slice][i][j] = sum;
                }
            }
            barrier();
        }
    }
    UNROLL
    for (u32 slice = 0; slice < SLICES; slice++) {
        UNROLL
        for (u32 i = 0; i < 2; i++) {
            UNROLL
            for (u32 j = 0; j < 2; j++) {
                const u32 row = y + i * HALF, col = slice * SPAN + x + j * HALF;
                if (first + row < args.queries && col < args.size) {
                    store<T>(args.dst, queries + static_cast<u64>(first + row) * width + col, out[slice][i][j] / tiles.sum[row]);
                }
            }
        }
    }
}

template <class T> DEVICE void attention_32(const AttentionArgs& args) { attend<T, 1>(args); }
template <class T> DEVICE void attention_64(const AttentionArgs& args) { attend<T, 2>(args); }
template <class T> DEVICE void attention_96(const AttentionArgs& args) { attend<T, 3>(args); }
template <class T> DEVICE void attention_160(const AttentionArgs& args) { attend<T, 5>(args); }
template <class T> DEVICE void attention_512(const AttentionArgs& args) { attend<T, 16>(args); }

KERNEL(pack_kv, PackKvArgs)
KERNEL(attention_32, AttentionArgs)
KERNEL(attention_64, AttentionArgs)
KERNEL(attention_96, AttentionArgs)
KERNEL(attention_160, AttentionArgs)
KERNEL(attention_512, AttentionArgs)
