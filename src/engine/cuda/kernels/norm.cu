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
};

// 1. One thread a channel of a part.
template <class T> DEVICE void group_norm_moments(const GroupNormArgs& args) {
    const u64 i = my_element();
    if (i >= static_cast<u64>(args.n) * args.parts * args.channels) {
        return;
    }
    const u64 channel = i % args.channels, part = i / args.channels % args.parts, n = i / args.channels / args.parts;
    const u32 first = part * args.part;
    const u32 end = first + args.part < args.pixels ? first + args.part : args.pixels;
    const u64 begin = n * args.pixels * args.channels + channel;
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

// 3. One thread an element.
template <class T> DEVICE void group_norm(const GroupNormArgs& args) {
    const u64 i = my_element();
    if (i >= args.count) {
        return;
    }
    const u64 channel = i % args.channels, n = i / args.channels / args.pixels;
    const float* factors = args.factors + n * 2 * args.channels;
    const float y = load<T>(args.x, i) * factors[channel] + factors[args.channels + channel];
    store<T>(args.dst, i, args.silu ? y * sigmoid(y) : y);
}

struct LayerNormArgs {
    Operand dst;
    Operand x;
    // [channels]
    const float* weight;
    const float* bias;
    u32 channels;
    float eps;
};

struct LayerNormPlaces {
    float places[THREADS];
};

// One block a row.
template <class T> DEVICE void layer_norm(const LayerNormArgs& args) {
    SHARED(LayerNormPlaces, shared);
    const u64 begin = static_cast<u64>(blockIdx.x) * args.channels;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < args.channels; i += THREADS) {
        sum += load<T>(args.x, begin + i);
    }
    const float mean = of_block(shared.places, sum) / static_cast<float>(args.channels);
    float squares = 0.0f;
    for (u32 i = threadIdx.x; i < args.channels; i += THREADS) {
        const float d = load<T>(args.x, begin + i) - mean;
        squares += d * d;
    }
    const float variance = of_block(shared.places, squares) / static_cast<float>(args.channels);
    const float inverse = 1.0f / sqrtf(variance + args.eps);
    for (u32 i = threadIdx.x; i < args.channels; i += THREADS) {
        store<T>(args.dst, begin + i, (load<T>(args.x, begin + i) - mean) * inverse * args.weight[i] + args.bias[i]);
    }
}

KERNEL(group_norm_moments, GroupNormArgs)
KERNEL(group_norm_factors, GroupNormArgs)
KERNEL(group_norm, GroupNormArgs)
KERNEL(layer_norm, LayerNormArgs)
