// What the threads of a warp do together, and copies that go on meanwhile, as PTX has them from sm_80 on. `host/warp.h` says
// the same for the host. Knows no operation.
#pragma once
#include "platform.cuh"

// What lies at an address of the card, which has to be a multiple of its alignment.
template <class X> DEVICE const X& read(const void* at) { return *static_cast<const X*>(at); }
template <class X> DEVICE void write(void* at, const X& x) { *static_cast<X*>(at) = x; }

// Two elements as they lie in memory, the first one lower.
template <class T> DEVICE u32 pack(float first, float second);
template <> DEVICE u32 pack<f16>(float first, float second) {
    const __half2 both = __floats2half2_rn(first, second);
    return reinterpret_cast<const u32&>(both);
}
template <> DEVICE u32 pack<bf16>(float first, float second) {
    const __nv_bfloat162 both = __floats2bfloat162_rn(first, second);
    return reinterpret_cast<const u32&>(both);
}

// After branches that only some threads took, and before the next that all do together: a warp's threads need not run side by
// side by themselves.
DEVICE void gather_warp() { __syncwarp(); }

DEVICE float shuffle_xor(float x, u32 lanes) { return __shfl_xor_sync(0xFFFFFFFF, x, lanes); }

DEVICE u32 shared_address(const void* at) { return static_cast<u32>(__cvta_generic_to_shared(at)); }

// Four matrices of 8 rows, a chunk each; lane i names row i % 8 of matrix i / 8. Register m of a lane gets two neighbours of
// matrix m: row lane / 4, columns lane % 4 * 2 and the next.
DEVICE void load_matrices(u32 (&to)[4], const Chunk* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// The same, rows and columns of each matrix exchanged.
DEVICE void load_matrices_turned(u32 (&to)[4], const Chunk* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// 16 x 16 by 16 x 8, added to `sums`. With g = lane / 4 and t = lane % 4 * 2, a lane holds
//   a     rows g, g + 8, g, g + 8; columns t and t + 1 of the first two, t + 8 and t + 9 of the others
//   b     column g; rows t and t + 1, then t + 8 and t + 9
//   sums  row g and columns t, t + 1, then row g + 8 and the same
template <class T> DEVICE void mma(float (&sums)[4], const u32 (&a)[4], u32 b_low, u32 b_high);
template <> DEVICE void mma<f16>(float (&sums)[4], const u32 (&a)[4], u32 b_low, u32 b_high) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_low), "r"(b_high));
}
template <> DEVICE void mma<bf16>(float (&sums)[4], const u32 (&a)[4], u32 b_low, u32 b_high) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b_low), "r"(b_high));
}

// The products of some left sides with some right sides, two of which `load_matrices` loads at a time.
template <class T, u32 DOWN, u32 PAIRS>
DEVICE void mma_tile(float (&sums)[DOWN][PAIRS * 2][4], const u32 (&a)[DOWN][4], const u32 (&b)[PAIRS][4]) {
    UNROLL
    for (u32 i = 0; i < DOWN; i++) {
        UNROLL
        for (u32 j = 0; j < PAIRS * 2; j++) {
            mma<T>(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
    }
}

// Begins to copy a chunk to shared memory, or zeros where nothing is `there`: 0 bytes are read of `from` then, wherever it is.
DEVICE void copy_chunk(Chunk* to, const void* from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0)
                 : "memory");
}

// This thread's copies since the last call are one group.
DEVICE void end_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for this thread's groups but the last LEFT. Those of others are there after a barrier.
template <u32 LEFT> DEVICE void wait_for_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory"); }
