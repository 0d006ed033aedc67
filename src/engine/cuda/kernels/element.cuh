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

// The element that this thread is for, where every element has a thread.
DEVICE u64 my_element() { return static_cast<u64>(blockIdx.x) * THREADS + threadIdx.x; }
