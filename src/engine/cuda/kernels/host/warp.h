// What the threads of a warp do together, and copies that go on meanwhile, on the host: the same functions as in `../warp.cuh`,
// with the layouts of the PTX ISA, so that whoever brings or takes the wrong elements gets a wrong result. Knows no kernel.
#pragma once

namespace shim {
inline bool knows(const void* at, u64 bytes);
}

template <class X> inline const X& read(const void* at) {
    static const X nothing{};
    const bool known = shim::knows(at, sizeof(X)) && reinterpret_cast<uintptr_t>(at) % alignof(X) == 0;
    shim::strayed = shim::strayed || !known;
    return known ? *static_cast<const X*>(at) : nothing;
}

template <class X> inline void write(void* at, const X& x) {
    const bool known = shim::knows(at, sizeof(X)) && reinterpret_cast<uintptr_t>(at) % alignof(X) == 0;
    shim::strayed = shim::strayed || !known;
    if (known) {
        *static_cast<X*>(at) = x;
    }
}

template <class T> inline u32 pack(float first, float second) {
    return narrow<T>(first).bits | static_cast<u32>(narrow<T>(second).bits) << 16;
}

namespace shim {

// Waits until all threads of the warp are here and `together` was done.
inline void meet(Together together, void* brings) {
    running->together = together;
    running->brings = brings;
    yield();
}

// Whether a chunk of shared memory can lie here.
inline bool holds_chunk(const void* at) {
    const auto from = reinterpret_cast<uintptr_t>(shared_memory), to = reinterpret_cast<uintptr_t>(at);
    return to >= from && to + sizeof(Chunk) <= from + SHARED_BYTES && to % sizeof(Chunk) == 0;
}

// Whether the card has memory here.
inline bool knows(const void* at, u64 bytes) {
    const u64 from = reinterpret_cast<uintptr_t>(at);
    const Piece* after = std::upper_bound(memory, memory + pieces, from, [](u64 x, const Piece& piece) { return x < piece.begin; });
    return after != memory && from + bytes <= after[-1].end;
}

struct Shuffled {
    float x;
    u32 lanes;
};

inline void shuffle(void* const (&brought)[LANES]) {
    float all[LANES];
    for (u32 lane = 0; lane < LANES; lane++) {
        all[lane] = static_cast<const Shuffled*>(brought[lane])->x;
    }
    for (u32 lane = 0; lane < LANES; lane++) {
        auto* mine = static_cast<Shuffled*>(brought[lane]);
        mine->x = all[lane ^ mine->lanes];
    }
}

struct Loaded {
    const Chunk* row;
    u32* to;
};

inline uint16_t element(const Chunk* row, u32 i) {
    uint16_t all[CHUNK];
    memcpy(all, row, sizeof all);
    return all[i];
}

template <bool TURNED> void load(void* const (&brought)[LANES]) {
    const Chunk* rows[LANES];
    for (u32 lane = 0; lane < LANES; lane++) {
        rows[lane] = static_cast<const Loaded*>(brought[lane])->row;
        if (!holds_chunk(rows[lane])) {
            misplaced = true;
            return;
        }
    }
    // Shared memory gives a chunk of each of its eight groups of banks at a time.
    for (u32 matrix = 0; matrix < 4; matrix++) {
        u32 groups = 0;
        for (u32 row = 0; row < 8; row++) {
            groups |= 1u << (reinterpret_cast<uintptr_t>(rows[matrix * 8 + row]) / sizeof(Chunk) % 8);
        }
        crowded = crowded || groups != 0xFF;
    }
    for (u32 lane = 0; lane < LANES; lane++) {
        for (u32 matrix = 0; matrix < 4; matrix++) {
            u32 both = 0;
            for (u32 i = 0; i < 2; i++) {
                const u32 near = lane / 4, far = lane % 4 * 2 + i;
                const u32 row = TURNED ? far : near, col = TURNED ? near : far;
                both |= static_cast<u32>(element(rows[matrix * 8 + row], col)) << 16 * i;
            }
            static_cast<const Loaded*>(brought[lane])->to[matrix] = both;
        }
    }
}

// Products of `down` left sides with `across` right sides, as `mma_tile` has them.
struct Multiplied {
    float* sums;
    const u32* a;
    const u32* b;
    u32 down, across;
};

// The most right sides of a tile.
constexpr u32 MOST_ACROSS = 4;

// Element i of two in a register.
template <class T> float half_of(u32 pair, u32 i) { return widen(T{static_cast<uint16_t>(pair >> 16 * i)}); }

// The layouts of "Matrix Fragments for mma.m16n8k16", 16-bit elements: elements 0 to 7 of A, 0 to 3 of B and of C.
template <class T> void multiply(void* const (&brought)[LANES]) {
    const auto mine = [&](u32 lane) -> const Multiplied& { return *static_cast<const Multiplied*>(brought[lane]); };
    const u32 down = mine(0).down, across = mine(0).across;
    float a[16][16], b[MOST_ACROSS][16][8], c[16][8];
    for (u32 y = 0; y < across; y++) {
        for (u32 lane = 0; lane < LANES; lane++) {
            for (u32 i = 0; i < 4; i++) {
                b[y][lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8)][lane / 4] = half_of<T>(mine(lane).b[y * 2 + i / 2], i & 1);
            }
        }
    }
    for (u32 x = 0; x < down; x++) {
        for (u32 lane = 0; lane < LANES; lane++) {
            for (u32 i = 0; i < 8; i++) {
                const u32 row = lane / 4 + ((i < 2 || (4 <= i && i < 6)) ? 0 : 8), col = lane % 4 * 2 + (i & 1) + (i < 4 ? 0 : 8);
                a[row][col] = half_of<T>(mine(lane).a[x * 4 + i / 2], i & 1);
            }
        }
        for (u32 y = 0; y < across; y++) {
            const auto each = [&](auto&& visit) {
                for (u32 lane = 0; lane < LANES; lane++) {
                    for (u32 i = 0; i < 4; i++) {
                        visit(mine(lane).sums[(x * across + y) * 4 + i], c[lane / 4 + (i < 2 ? 0 : 8)][lane % 4 * 2 + (i & 1)]);
                    }
                }
            };
            each([](const float& sum, float& place) { place = sum; });
            for (u32 i = 0; i < 16; i++) {
                for (u32 k = 0; k < 16; k++) {
                    for (u32 j = 0; j < 8; j++) {
                        c[i][j] += a[i][k] * b[y][k][j];
                    }
                }
            }
            each([](float& sum, const float& place) { sum = place; });
        }
    }
}

inline void land(const Copying& copy) {
    if (copy.from == nullptr) {
        memset(copy.to, 0, sizeof(Chunk));
    } else {
        memcpy(copy.to, copy.from, sizeof(Chunk));
    }
}

}  // namespace shim

// Whoever comes to something for the whole warp waits there.
inline void gather_warp() {}

inline float shuffle_xor(float x, u32 lanes) {
    shim::Shuffled mine{x, lanes};
    shim::meet(shim::shuffle, &mine);
    return mine.x;
}

inline void load_matrices(u32 (&to)[4], const Chunk* row) {
    shim::Loaded mine{row, to};
    shim::meet(shim::load<false>, &mine);
}

inline void load_matrices_turned(u32 (&to)[4], const Chunk* row) {
    shim::Loaded mine{row, to};
    shim::meet(shim::load<true>, &mine);
}

template <class T, u32 DOWN, u32 PAIRS>
inline void mma_tile(float (&sums)[DOWN][PAIRS * 2][4], const u32 (&a)[DOWN][4], const u32 (&b)[PAIRS][4]) {
    static_assert(PAIRS * 2 <= shim::MOST_ACROSS, "more right sides than the shim has room for");
    shim::Multiplied mine{&sums[0][0][0], &a[0][0], &b[0][0], DOWN, PAIRS * 2};
    shim::meet(shim::multiply<T>, &mine);
}

template <class T> inline void mma(float (&sums)[4], const u32 (&a)[4], u32 b_low, u32 b_high) {
    const u32 b[2] = {b_low, b_high};
    shim::Multiplied mine{sums, a, b, 1, 1};
    shim::meet(shim::multiply<T>, &mine);
}

// Forwards a copy is there as late as may be, when it is waited for; backwards as early, at once.
inline void copy_chunk(Chunk* to, const void* from, bool there) {
    if (!shim::holds_chunk(to) || reinterpret_cast<uintptr_t>(from) % sizeof(Chunk) != 0) {
        shim::misplaced = true;
        return;
    }
    if (there && !shim::knows(from, sizeof(Chunk))) {
        shim::strayed = true;
        return;
    }
    const shim::Copying copy{to, there ? from : nullptr, shim::running->groups};
    if (shim::backwards) {
        shim::land(copy);
    } else {
        shim::running->copies.push_back(copy);
    }
}

inline void end_copies() { shim::running->groups++; }

template <u32 LEFT> inline void wait_for_copies() {
    auto& copies = shim::running->copies;
    size_t done = 0;
    while (done < copies.size() && copies[done].group + LEFT < shim::running->groups) {
        shim::land(copies[done++]);
    }
    copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(done));
}
