// Operands as kernels get them, and functions of one element. Arithmetic is f32, whatever is kept. Knows no operation.
#pragma once
#include "platform.cuh"

// A buffer. What the host writes and reads, and what outlives a program, is kept as f32; all else as T.
struct Operand {
    void* at;
    u32 is_f32;
    u32 unused;
};

template <class T> DEVICE float load(const Operand& x, u64 i) {
    if (sizeof(T) == sizeof(float) || x.is_f32) {
        return static_cast<const float*>(x.at)[i];
    }
    return widen(static_cast<const T*>(x.at)[i]);
}

template <class T> DEVICE void store(const Operand& dst, u64 i, float x) {
    if (sizeof(T) == sizeof(float) || dst.is_f32) {
        static_cast<float*>(dst.at)[i] = x;
    } else {
        static_cast<T*>(dst.at)[i] = narrow<T>(x);
    }
}

// N neighbouring elements: one, or all that a thread reads and writes in whole chunks.
template <u32 N> struct Some {
    float x[N];
};

// The same as they lie in memory.
template <class T, u32 N> struct alignas(N == 1 ? sizeof(T) : sizeof(Chunk)) Lying {
    T x[N];
};

template <class T, u32 N> DEVICE Some<N> widen_some(const void* at) {
    const Lying<T, N> lying = read<Lying<T, N>>(at);
    Some<N> some;
    UNROLL
    for (u32 j = 0; j < N; j++) {
        some.x[j] = widen(lying.x[j]);
    }
    return some;
}

template <class T, u32 N> DEVICE void narrow_some(void* at, const Some<N>& some) {
    Lying<T, N> lying;
    UNROLL
    for (u32 j = 0; j < N; j++) {
        lying.x[j] = narrow<T>(some.x[j]);
    }
    write(at, lying);
}

template <u32 N> DEVICE void add(Some<N>& to, const Some<N>& some) {
    UNROLL
    for (u32 j = 0; j < N; j++) {
        to.x[j] += some.x[j];
    }
}

// Elements `i` to `i` + N, where `i` is a multiple of N.
template <class T, u32 N> DEVICE Some<N> load_some(const Operand& x, u64 i) {
    if (sizeof(T) == sizeof(float) || x.is_f32) {
        return widen_some<float, N>(static_cast<const float*>(x.at) + i);
    }
    return widen_some<T, N>(static_cast<const T*>(x.at) + i);
}

template <class T, u32 N> DEVICE void store_some(const Operand& dst, u64 i, const Some<N>& some) {
    if (sizeof(T) == sizeof(float) || dst.is_f32) {
        narrow_some<float, N>(static_cast<float*>(dst.at) + i, some);
    } else {
        narrow_some<T, N>(static_cast<T*>(dst.at) + i, some);
    }
}

// As `launches.rs` numbers them.
enum Activation : u32 { NONE = 0, SILU = 1, GELU = 2, QUICK_GELU = 3, GEGLU = 4 };

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
DEVICE float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }

DEVICE float activated(float x, u32 act) {
    switch (act) {
    case SILU: return x * sigmoid(x);
    case GELU: return gelu(x);
    case QUICK_GELU: return x * sigmoid(1.702f * x);
    default: return x;
    }
}

// This thread among those of all blocks. Launches have fewer than 2^32 of them.
DEVICE u32 my_thread() { return blockIdx.x * THREADS + threadIdx.x; }

// `name_of` with a whole chunk of neighbouring elements for each thread, or with one, as the launch says by `args.each`.
#define BY_CHUNKS(name, Args)                                                       \
    template <class T> DEVICE void name(const Args& args) {                         \
        if (args.each == CHUNK) {                                                   \
            name##_of<T, CHUNK>(args);                                              \
        } else {                                                                    \
            name##_of<T, 1>(args);                                                  \
        }                                                                           \
    }
