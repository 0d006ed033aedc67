// Operations of which every element of the result is made by itself, by a thread that has a chunk of them where extents and
// places allow it, or one. What may be written over itself is read at the same index that is written. Knows no other operation.
#include "element.cuh"

// Most terms of a linear combination.
constexpr u32 MAX_TERMS = 16;

struct ActivateArgs {
    Operand dst;
    Operand x;
    u64 count;
    u32 act, each;
};

template <class T, u32 N> DEVICE void activate_of(const ActivateArgs& args) {
    const u64 i = static_cast<u64>(my_thread()) * N;
    if (i >= args.count) {
        return;
    }
    Some<N> some = load_some<T, N>(args.x, i);
    UNROLL
    for (u32 j = 0; j < N; j++) {
        some.x[j] = activated(some.x[j], args.act);
    }
    store_some<T>(args.dst, i, some);
}
BY_CHUNKS(activate, ActivateArgs)

struct CopyArgs {
    Operand dst;
    Operand x;
    // Of dst
    u64 count;
    // Threads for x
    u32 period, each;
};

template <class T, u32 N> DEVICE void copy_of(const CopyArgs& args) {
    const u64 i = static_cast<u64>(my_thread()) * N;
    if (i < args.count) {
        store_some<T>(args.dst, i, load_some<T, N>(args.x, static_cast<u64>(my_thread() % args.period) * N));
    }
}
BY_CHUNKS(copy, CopyArgs)

// Some channels of one buffer to some channels of another, for concatenation and slices.
struct ChannelsArgs {
    Operand dst;
    Operand x;
    // Elements moved
    u64 count;
    // Channels moved, and those that a row of each has
    u32 channels, dst_channels, x_channels;
    // First of them in each
    u32 dst_first, x_first, each;
};

template <class T, u32 N> DEVICE void channels_of(const ChannelsArgs& args) {
    if (static_cast<u64>(my_thread()) * N >= args.count) {
        return;
    }
    const u32 width = args.channels / N, channel = my_thread() % width * N;
    const u64 row = my_thread() / width;
    const Some<N> some = load_some<T, N>(args.x, row * args.x_channels + args.x_first + channel);
    store_some<T>(args.dst, row * args.dst_channels + args.dst_first + channel, some);
}
BY_CHUNKS(channels, ChannelsArgs)

struct EmbedArgs {
    Operand dst;
    Operand ids;
    Operand table;
    Operand positions;
    u64 count;
    u32 tokens, channels;
};

template <class T> DEVICE void embed(const EmbedArgs& args) {
    const u32 i = my_thread();
    if (i < args.count) {
        const u32 row = i / args.channels, channel = i % args.channels;
        const u64 word = static_cast<u64>(load<T>(args.ids, row));
        const float at = load<T>(args.positions, static_cast<u64>(row % args.tokens) * args.channels + channel);
        store<T>(args.dst, i, load<T>(args.table, word * args.channels + channel) + at);
    }
}

struct TimestepEmbeddingArgs {
    // [n, 2 half]
    Operand dst;
    Operand timesteps;
    u32 n, half;
    float freq_shift;
    u32 cosines_first;
};

// One thread a frequency of a timestep.
template <class T> DEVICE void timestep_embedding(const TimestepEmbeddingArgs& args) {
    const u32 i = my_thread();
    if (i >= args.n * args.half) {
        return;
    }
    const u32 at = i % args.half;
    const u64 n = i / args.half;
    const float log_10000 = 9.2103404f;
    const float exponent = -log_10000 * static_cast<float>(at) / (static_cast<float>(args.half) - args.freq_shift);
    // A timestep of 1000 makes an error of the frequency a thousand times as large: it is rounded once only.
    const float angle = load<T>(args.timesteps, n) * static_cast<float>(exp(static_cast<double>(exponent)));
    const u64 sine = n * 2 * args.half + (args.cosines_first ? args.half : 0) + at;
    const u64 cosine = n * 2 * args.half + (args.cosines_first ? 0 : args.half) + at;
    store<T>(args.dst, sine, sinf(angle));
    store<T>(args.dst, cosine, cosf(angle));
}

struct PosteriorArgs {
    Operand dst;
    Operand moments;
    Operand noise;
    u64 count;
    u32 channels, unused;
};

template <class T> DEVICE void posterior(const PosteriorArgs& args) {
    const u32 i = my_thread();
    if (i < args.count) {
        const u64 mean = static_cast<u64>(i / args.channels) * 2 * args.channels + i % args.channels;
        const float logvar = fminf(fmaxf(load<T>(args.moments, mean + args.channels), -30.0f), 20.0f);
        store<T>(args.dst, i, load<T>(args.moments, mean) + expf(0.5f * logvar) * load<T>(args.noise, i));
    }
}

struct LinearCombinationArgs {
    Operand dst;
    Operand coefficients;
    Operand terms[MAX_TERMS];
    u64 count;
    u32 used, each;
};

template <class T, u32 N> DEVICE void linear_combination_of(const LinearCombinationArgs& args) {
    const u64 i = static_cast<u64>(my_thread()) * N;
    if (i >= args.count) {
        return;
    }
    Some<N> sum = {};
    for (u32 term = 0; term < args.used; term++) {
        const float coefficient = load<T>(args.coefficients, term);
        const Some<N> some = load_some<T, N>(args.terms[term], i);
        UNROLL
        for (u32 j = 0; j < N; j++) {
            sum.x[j] += coefficient * some.x[j];
        }
    }
    store_some<T>(args.dst, i, sum);
}
BY_CHUNKS(linear_combination, LinearCombinationArgs)

struct ClampArgs {
    Operand dst;
    Operand x;
    Operand limits;
    u64 count;
    u32 each, unused;
};

template <class T, u32 N> DEVICE void clamp_of(const ClampArgs& args) {
    const u64 i = static_cast<u64>(my_thread()) * N;
    if (i >= args.count) {
        return;
    }
    const float least = load<T>(args.limits, 0), most = load<T>(args.limits, 1);
    Some<N> some = load_some<T, N>(args.x, i);
    UNROLL
    for (u32 j = 0; j < N; j++) {
        some.x[j] = fminf(fmaxf(some.x[j], least), most);
    }
    store_some<T>(args.dst, i, some);
}
BY_CHUNKS(clamp, ClampArgs)

struct BlendArgs {
    Operand dst;
    Operand mask;
    Operand a;
    Operand b;
    // Below 2^32
    u64 count;
    // Of the mask
    u32 pixels, channels;
    u32 each, unused;
};

template <class T, u32 N> DEVICE void blend_of(const BlendArgs& args) {
    const u32 i = my_thread() * N;
    if (i >= args.count) {
        return;
    }
    Some<N> a = load_some<T, N>(args.a, i);
    const Some<N> b = load_some<T, N>(args.b, i);
    UNROLL
    for (u32 j = 0; j < N; j++) {
        const float m = load<T>(args.mask, (i + j) / args.channels % args.pixels);
        a.x[j] = m * a.x[j] + (1.0f - m) * b.x[j];
    }
    store_some<T>(args.dst, i, a);
}
BY_CHUNKS(blend, BlendArgs)

KERNEL(activate, ActivateArgs)
KERNEL(copy, CopyArgs)
KERNEL(channels, ChannelsArgs)
KERNEL(embed, EmbedArgs)
KERNEL(timestep_embedding, TimestepEmbeddingArgs)
KERNEL(posterior, PosteriorArgs)
KERNEL(linear_combination, LinearCombinationArgs)
KERNEL(clamp, ClampArgs)
KERNEL(blend, BlendArgs)
