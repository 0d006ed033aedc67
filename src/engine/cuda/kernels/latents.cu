// Operations that look at a whole picture's latents before they write one, which are small: one block a picture. Knows no
// other operation.
#include "element.cuh"
#include "reduce.cuh"

struct GuideArgs {
    Operand dst;
    Operand without;
    Operand with;
    // Scale, rescale
    Operand params;
    // Elements of a picture
    u64 picture;
};

struct GuidePlaces {
    Moments places[THREADS];
};

DEVICE float guided(float without, float with, float scale) { return without + scale * (with - without); }

DEVICE float deviation(const Moments& of) { return sqrtf(of.m2 / (of.count - 1.0f)); }

template <class T> DEVICE void guide(const GuideArgs& args) {
    SHARED(GuidePlaces, shared);
    const u64 begin = blockIdx.x * args.picture;
    const float scale = load<T>(args.params, 0), rescale = load<T>(args.params, 1);
    float factor = 1.0f;
    if (rescale != 0.0f) {
        const u64 first = begin + (threadIdx.x < args.picture ? threadIdx.x : 0);
        const float b = load<T>(args.with, first);
        Gather wanted = gather_around(b), has = gather_around(guided(load<T>(args.without, first), b, scale));
        for (u64 i = threadIdx.x; i < args.picture; i += THREADS) {
            const float with = load<T>(args.with, begin + i);
            take(wanted, with);
            take(has, guided(load<T>(args.without, begin + i), with, scale));
        }
        const float goal = deviation(of_block(shared.places, moments(wanted)));
        factor = rescale * goal / deviation(of_block(shared.places, moments(has))) + 1.0f - rescale;
    }
    for (u64 i = threadIdx.x; i < args.picture; i += THREADS) {
        const float g = guided(load<T>(args.without, begin + i), load<T>(args.with, begin + i), scale);
        store<T>(args.dst, begin + i, factor * g);
    }
}

struct ThresholdArgs {
    Operand dst;
    Operand x;
    // Quantile, largest limit
    Operand params;
    // Elements of a picture
    u64 picture;
};

// Digits of a magnitude's bits.
constexpr u32 DIGITS = 256;

struct ThresholdPlaces {
    u32 counts[DIGITS];
    u32 prefix;
    u32 rank;
};

// The magnitude of which exactly `rank` others of the picture are smaller or come before it in order: digit by digit of its
// bits, from the highest, since magnitudes are in the order of their bits. Every thread calls it.
template <class T> DEVICE float ranked(ThresholdPlaces& shared, const ThresholdArgs& args, u64 begin, u32 rank) {
    if (threadIdx.x == 0) {
        shared.prefix = 0;
        shared.rank = rank;
    }
    for (u32 shift = 32; shift > 0;) {
        shift -= 8;
        for (u32 i = threadIdx.x; i < DIGITS; i += THREADS) {
            shared.counts[i] = 0;
        }
        barrier();
        for (u64 i = threadIdx.x; i < args.picture; i += THREADS) {
            const u32 magnitude = bits(fabsf(load<T>(args.x, begin + i)));
            if (shift == 24 || magnitude >> (shift + 8) == shared.prefix) {
                add_in_block(&shared.counts[magnitude >> shift & (DIGITS - 1)], 1);
            }
        }
        barrier();
        if (threadIdx.x == 0) {
            u32 digit = 0;
            for (; digit < DIGITS - 1 && shared.rank >= shared.counts[digit]; digit++) {
                shared.rank -= shared.counts[digit];
            }
            shared.prefix = shared.prefix << 8 | digit;
        }
        barrier();
    }
    const float found = from_bits(shared.prefix);
    barrier();
    return found;
}

template <class T> DEVICE void threshold(const ThresholdArgs& args) {
    SHARED(ThresholdPlaces, shared);
    const u64 begin = blockIdx.x * args.picture;
    const double rank = static_cast<double>(load<T>(args.params, 0)) * static_cast<double>(args.picture - 1);
    const u32 low = static_cast<u32>(rank);
    const float below = ranked<T>(shared, args, begin, low);
    const float above = ranked<T>(shared, args, begin, low + 1 < args.picture ? low + 1 : low);
    const float part = static_cast<float>(rank - static_cast<double>(low));
    const float quantile = below + part * (above - below);
    const float s = fmaxf(fminf(quantile, load<T>(args.params, 1)), 1.0f);
    for (u64 i = threadIdx.x; i < args.picture; i += THREADS) {
        store<T>(args.dst, begin + i, fminf(fmaxf(load<T>(args.x, begin + i), -s), s) / s);
    }
}

KERNEL(guide, GuideArgs)
KERNEL(threshold, ThresholdArgs)
