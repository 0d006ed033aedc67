// What kernels for tensor cores share: how a thread of a warp is placed, and chunks of operands on their way to shared
// memory. Knows no operation.
#pragma once
#include "element.cuh"

DEVICE u32 my_warp() { return threadIdx.x / LANES; }
DEVICE u32 my_lane() { return threadIdx.x % LANES; }

// Two elements that are kept as f32, and four.
struct alignas(8) Pair {
    float x[2];
};
struct alignas(16) Quad {
    float x[4];
};

// Two neighbouring elements at an even place.
template <class T> DEVICE u32 load_pair(const Operand& x, u64 i) {
    if (x.is_f32) {
        const Pair pair = read<Pair>(static_cast<const float*>(x.at) + i);
        return pack<T>(pair.x[0], pair.x[1]);
    }
    return read<u32>(static_cast<const T*>(x.at) + i);
}

template <class T> DEVICE void store_pair(const Operand& dst, u64 i, float first, float second) {
    if (dst.is_f32) {
        write(static_cast<float*>(dst.at) + i, Pair{{first, second}});
    } else {
        write(static_cast<T*>(dst.at) + i, pack<T>(first, second));
    }
}

// Bytes of an element of an operand.
template <class T> DEVICE u32 bytes_of(const Operand& x) { return x.is_f32 ? sizeof(float) : sizeof(T); }

// Sends a chunk to shared memory, or zeros where nothing is `there`; `from` is a multiple of its length all the same, and may be
// beyond all memory then. What is kept as f32 is rounded and lies there at once; all else comes when its copies are waited for.
template <class T> DEVICE void fetch_from(Chunk* to, const void* from, bool is_f32, bool there) {
    if (!is_f32) {
        copy_chunk(to, from, there);
        return;
    }
    Chunk chunk = {};
    if (there) {
        const float* at = static_cast<const float*>(from);
        const Quad first = read<Quad>(at), second = read<Quad>(at + 4);
        chunk = Chunk{pack<T>(first.x[0], first.x[1]), pack<T>(first.x[2], first.x[3]), pack<T>(second.x[0], second.x[1]),
                      pack<T>(second.x[2], second.x[3])};
    }
    *to = chunk;
}
