// GroupNorm and LayerNorm. A picture is cut into parts by its own extent alone, so that no sum depends on the batch. Knows
// no other operation.
#include "element.cuh"
#include "reduce.cuh"

struct GroupNormArgs {
    Operand dst;
    Operand x;
    // [channels]
    const float* weight;
    const float* bias;
    // [n, parts, channels]
    Moments* moments;
    // [n, 2, channels]: what each channel is multiplied with, and what is added then
    float* factors;
    // Of x
    u64 count;
    u32 n, pixels, channels, groups;
    // Of a picture, and pixels of a part (the last may have fewer)
    u32 parts, part;
    float eps;
    u32 silu;
    // Elements of a thread of the third kernel
    u32 each, unused;
};

// 1. One thread a channel of a part.
template <class T> DEVICE void group_norm_moments(const GroupNormArgs& args) {
    const u32 i = my_thread();
    if (i >= args.n * args.parts * args.channels) {
        return;
    }
    const u32 row = i / args.channels, channel = i % args.channels, n = row / args.parts;
    const u32 first = row % args.parts * args.part;
    const u32 end = first + args.part < args.pixels ? first + args.part : args.pixels;
    const u64 begin = static_cast<u64>(n) * args.pixels * args.channels + channel;
    Gather gather = gather_around(load<T>(args.x, begin + static_cast<u64>(first) * args.channels));
    for (u32 pixel = first; pixel < end; pixel++) {
        take(gather, load<T>(args.x, begin + static_cast<u64>(pixel) * args.channels));
    }
    args.moments[i] = moments(gather);
}

struct GroupNormPlaces {
    Moments places[THREADS];
};

// 2. One block a group of a picture.
template <class T> DEVICE void group_norm_factors(const GroupNormArgs& args) {
    SHARED(GroupNormPlaces, shared);
    const u32 n = blockIdx.x / args.groups, group = blockIdx.x % args.groups;
    const u32 each = args.channels / args.groups;
    Moments mine = no_moments();
    for (u32 i = threadIdx.x; i < args.parts * each; i += THREADS) {
        const u64 row = static_cast<u64>(n) * args.parts + i / each;
        mine = together(mine, args.moments[row * args.channels + group * each + i % each]);
    }
    const Moments all = of_block(shared.places, mine);
    const float inverse = 1.0f / sqrtf(all.m2 / all.count + args.eps);
    float* factors = args.factors + static_cast<u64>(n) * 2 * args.channels;
    for (u32 i = threadIdx.x; i < each; i += THREADS) {
        const u32 channel = group * each + i;
        const float factor = inverse * args.weight[channel];
        factors[channel] = factor;
        factors[args.channels + channel] = args.bias[channel] - all.mean * factor;
    }
}

// 3. One thread an element, or a chunk.
template <class T, u32 N> DEVICE void group_norm_of(const GroupNormArgs& args) {
    const u64 i = static_cast<u64>(my_thread()) * N;
    if (i >= args.count) {
        return;
    }
    const u32 width = args.channels / N, pixel = my_thread() / width, channel = my_thread() % width * N;
    const float* factors = args.factors + static_cast<u64>(pixel / args.pixels) * 2 * args.channels + channel;
    const Some<N> factor = widen_some<float, N>(factors), offset = widen_some<float, N>(factors + args.channels);
    Some<N> some = load_some<T, N>(args.x, i);
    UNROLL
    for (u32 j = 0; j < N; j++) {
        const float y = some.x[j] * factor.x[j] + offset.x[j];
        some.x[j] = args.silu ? y * sigmoid(y) : y;
    }
    store_some<T>(args.dst, i, some);
}
BY_CHUNKS(group_norm, GroupNormArgs)

struct LayerNormArgs {
    Operand dst;
    Operand x;
    // [channels]
    const float* weight;
    const float* bias;
    u32 rows, channels;
    float eps;
    u32 unused;
};

// What a lane adds up of a row: every STRANDS * LANES-th channel, STRANDS times.
constexpr u32 STRANDS = 8;
struct Strands {
    float sums[STRANDS];
};

// The sum of all strands of a warp, in the order of a binary tree; every lane gets it, and every lane calls it.
DEVICE float of_warp(Strands& strands) {
    UNROLL
    for (u32 reach = STRANDS / 2; reach > 0; reach /= 2) {
        UNROLL
        for (u32 j = 0; j < reach; j++) {
            strands.sums[j] += strands.sums[j + reach];
        }
    }
    float all = strands.sums[0];
    UNROLL
    for (u32 reach = LANES / 2; reach > 0; reach /= 2) {
        all += shuffle_xor(all, reach);
    }
    return all;
}

// One warp a row.
template <class T> DEVICE void layer_norm(const LayerNormArgs& args) {
    const u32 row = blockIdx.x * (THREADS / LANES) + threadIdx.x / LANES, lane = threadIdx.x % LANES;
    if (row >= args.rows) {
        return;
    }
    const u64 begin = static_cast<u64>(row) * args.channels;
    Strands strands = {};
    for (u32 first = lane; first < args.channels; first += STRANDS * LANES) {
        UNROLL
        for (u32 j = 0; j < STRANDS; j++) {
            const u32 i = first + j * LANES;
            strands.sums[j] += i < args.channels ? load<T>(args.x, begin + i) : 0.0f;
        }
    }
    gather_warp();
    const float mean = of_warp(strands) / static_cast<float>(args.channels);
    strands = {};
    for (u32 first = lane; first < args.channels; first += STRANDS * LANES) {
        UNROLL
        for (u32 j = 0; j < STRANDS; j++) {
            const u32 i = first + j * LANES;
            const float d = i < args.channels ? load<T>(args.x, begin + i) - mean : 0.0f;
            strands.sums[j] += d * d;
        }
    }
    gather_warp();
    const float variance = of_warp(strands) / static_cast<float>(args.channels);
    const float inverse = 1.0f / sqrtf(variance + args.eps);
    for (u32 i = lane; i < args.channels; i += LANES) {
        store<T>(args.dst, begin + i, (load<T>(args.x, begin + i) - mean) * inverse * args.weight[i] + args.bias[i]);
    }
}

KERNEL(group_norm_moments, GroupNormArgs)
KERNEL(group_norm_factors, GroupNormArgs)
KERNEL(group_norm, GroupNormArgs)
KERNEL(layer_norm, LayerNormArgs)
