// What a kernel is written in: CUDA's own words under NVIDIA's compilers, the shim's for the host's C++ compiler. Knows no operation.
#pragma once

typedef unsigned int u32;
typedef unsigned long long u64;

// Threads of every block.
constexpr u32 THREADS = 256;
// Threads of a warp, which do some things together only.
constexpr u32 LANES = 32;

// Eight neighbouring elements of a half type: what is copied at a time, and a row of the small matrices that a warp loads.
struct alignas(16) Chunk {
    u32 pairs[4];
};
constexpr u32 CHUNK = 8;

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define DEVICE __device__ __forceinline__
// Before a loop whose counter indexes registers.
#define UNROLL _Pragma("unroll")
// Memory of a block, one object a kernel. Holds nothing when a block begins.
#define SHARED(Type, name) __shared__ Type name
#define ENTRY(name, body, Args) \
    extern "C" __global__ void __launch_bounds__(THREADS) name(const __grid_constant__ Args args) { body(args); }
// So many of its blocks at least fit on a multiprocessor: the compiler uses the registers that this leaves.
#define ENTRY_OF_BLOCKS(name, body, Args, blocks) \
    extern "C" __global__ void __launch_bounds__(THREADS, blocks) name(const __grid_constant__ Args args) { body(args); }

typedef __half f16;
typedef __nv_bfloat16 bf16;

DEVICE void barrier() { __syncthreads(); }

DEVICE float widen(float x) { return x; }
DEVICE float widen(f16 x) { return __half2float(x); }
DEVICE float widen(bf16 x) { return __bfloat162float(x); }

template <class T> DEVICE T narrow(float x);
template <> DEVICE float narrow<float>(float x) { return x; }
template <> DEVICE f16 narrow<f16>(float x) { return __float2half_rn(x); }
template <> DEVICE bf16 narrow<bf16>(float x) { return __float2bfloat16_rn(x); }

DEVICE void add_in_block(u32* to, u32 x) { atomicAdd(to, x); }
DEVICE u32 bits(float x) { return __float_as_uint(x); }
DEVICE float from_bits(u32 x) { return __uint_as_float(x); }
DEVICE float infinity() { return from_bits(0x7F800000u); }
// As the card raises by itself: within 2^-22 of it, and too small a result is 0.
DEVICE float power_of_two(float x) {
    float to;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(to) : "f"(x));
    return to;
}

// Keeps a number in a register: the compiler finds it anew each time otherwise, which takes no register and more time.
DEVICE void keep(u32& x) { asm volatile("" : "+r"(x)); }

#include "warp.cuh"

#else
#include "host/shim.h"
#endif

// `name_f16` and `name_bf16`, for what tensor cores multiply.
#define KERNEL_OF_HALVES(name, Args)       \
    ENTRY(name##_f16, (name<f16>), Args)   \
    ENTRY(name##_bf16, (name<bf16>), Args)

#define KERNEL_OF_HALVES_AND_BLOCKS(name, Args, blocks)      \
    ENTRY_OF_BLOCKS(name##_f16, (name<f16>), Args, blocks)   \
    ENTRY_OF_BLOCKS(name##_bf16, (name<bf16>), Args, blocks)

// One entry point for each type of element that a device keeps: `name_f32`, `name_f16`, `name_bf16`.
#define KERNEL(name, Args)                 \
    ENTRY(name##_f32, (name<float>), Args) \
    ENTRY(name##_f16, (name<f16>), Args)   \
    ENTRY(name##_bf16, (name<bf16>), Args)
