// Operations of which every element of the result is made by itself, one thread each. What may be written over itself is
// read at the same index that is written. Knows no other operation.
#include "element.cuh"

// Most terms of a linear combination.
constexpr u32 MAX_TERMS = 16;

struct ActivateArgs {
    Operand dst;
    Operand x;
    u64 count;
    u32 act, unused;
};

template <class T> DEVICE void activate(const ActivateArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        store<T>(args.dst, i, activated(load<T>(args.x, i), args.act));
    }
}

struct CopyArgs {
    Operand dst;
    Operand x;
    // Of dst, and of x
    u64 count;
    u64 period;
};

template <class T> DEVICE void copy(const CopyArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        store<T>(args.dst, i, load<T>(args.x, i % args.period));
    }
}

// Some channels of one buffer to some channels of another, for concatenation and slices.
struct ChannelsArgs {
    Operand dst;
    Operand x;
    // Elements moved
    u64 count;
    // Channels moved, and those that a row of each has
    u32 channels, dst_channels, x_channels;
    // First of them in each
    u32 dst_first, x_first, unused;
};

template <class T> DEVICE void channels(const ChannelsArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        const u64 row = i / args.channels, channel = i % args.channels;
        const float x = load<T>(args.x, row * args.x_channels + args.x_first + channel);
        store<T>(args.dst, row * args.dst_channels + args.dst_first + channel, x);
    }
}

struct EmbedArgs {
    Operand dst;
    Operand ids;
    Operand table;
    Operand positions;
    u64 count;
    u32 tokens, channels;
};

template <class T> DEVICE void embed(const EmbedArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        const u64 row = i / args.channels, channel = i % args.channels;
        const u64 word = static_cast<u64>(load<T>(args.ids, row));
        const float at = load<T>(args.positions, row % args.tokens * args.channels + channel);
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
    const u64 i = my_element();
    if (i >= static_cast<u64>(args.n) * args.half) {
        return;
    }
    const u64 n = i / args.half;
    const u32 at = i % args.half;
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
    const u64 i = my_element();
    if (i < args.count) {
        const u64 mean = i / args.channels * 2 * args.channels + i % args.channels;
        const float logvar = fminf(fmaxf(load<T>(args.moments, mean + args.channels), -30.0f), 20.0f);
        store<T>(args.dst, i, load<T>(args.moments, mean) + expf(0.5f * logvar) * load<T>(args.noise, i));
    }
}

struct LinearCombinationArgs {
    Operand dst;
    Operand coefficients;
    Operand terms[MAX_TERMS];
    u64 count;
    u32 used, unused;
};

template <class T> DEVICE void linear_combination(const LinearCombinationArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        float sum = 0.0f;
        for (u32 term = 0; term < args.used; term++) {
            sum += load<T>(args.coefficients, term) * load<T>(args.terms[term], i);
        }
        store<T>(args.dst, i, sum);
    }
}

struct ClampArgs {
    Operand dst;
    Operand x;
    Operand limits;
    u64 count;
};

template <class T> DEVICE void clamp(const ClampArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        const float x = fmaxf(load<T>(args.x, i), load<T>(args.limits, 0));
        store<T>(args.dst, i, fminf(x, load<T>(args.limits, 1)));
    }
}

struct BlendArgs {
    Operand dst;
    Operand mask;
    Operand a;
    Operand b;
    u64 count;
    // Of the mask
    u64 pixels;
    u32 channels, unused;
};

template <class T> DEVICE void blend(const BlendArgs& args) {
    const u64 i = my_element();
    if (i < args.count) {
        const float m = load<T>(args.mask, i / args.channels % args.pixels);
        store<T>(args.dst, i, m * load<T>(args.a, i) + (1.0f - m) * load<T>(args.b, i));
    }
}

KERNEL(activate, ActivateArgs)
KERNEL(copy, CopyArgs)
KERNEL(channels, ChannelsArgs)
KERNEL(embed, EmbedArgs)
KERNEL(timestep_embedding, TimestepEmbeddingArgs)
KERNEL(posterior, PosteriorArgs)
KERNEL(linear_combination, LinearCombinationArgs)
KERNEL(clamp, ClampArgs)
KERNEL(blend, BlendArgs)
