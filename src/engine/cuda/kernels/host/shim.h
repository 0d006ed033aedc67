// Kernels on the host: a launch runs block after block, and each block's threads as fibers that change places at barriers and
// where a warp does something together, and nowhere else. Knows no kernel. What it can tell beyond the arithmetic: warps and
// threads run first to last or last to first, so that a missing barrier changes the result, and a barrier or a warp's doing
// that only some threads come to is an error.
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#define DEVICE inline
#define UNROLL
#define SHARED(Type, name) Type& name = *shim::shared<Type>()
#define ENTRY(name, body, Args) \
    static const shim::Registration registered_##name(#name, sizeof(Args), [](const void* args) { body(*static_cast<const Args*>(args)); });
#define ENTRY_OF_BLOCKS(name, body, Args, blocks) ENTRY(name, body, Args)

struct Index {
    u32 x, y, z;
};
static Index blockIdx, threadIdx;

struct f16 {
    uint16_t bits;
};
struct bf16 {
    uint16_t bits;
};

inline u32 bits(float x) {
    u32 to;
    memcpy(&to, &x, sizeof to);
    return to;
}
inline float from_bits(u32 x) {
    float to;
    memcpy(&to, &x, sizeof to);
    return to;
}
inline void keep(u32&) {}

inline float infinity() { return INFINITY; }

inline float power_of_two(float x) { return exp2f(x); }

inline float widen(float x) { return x; }
inline float widen(bf16 x) { return from_bits(static_cast<u32>(x.bits) << 16); }
inline float widen(f16 x) {
    const u32 sign = static_cast<u32>(x.bits & 0x8000) << 16, magnitude = x.bits & 0x7FFF;
    if (magnitude >= 0x7C00) {
        return from_bits(sign | 0x7F800000 | (magnitude & 0x3FF) << 13);
    }
    // Numbers below the smallest normal one become normal by the multiplication, which is exact for all.
    return from_bits(sign | bits(from_bits(magnitude << 13) * 0x1p112f));
}

template <class T> T narrow(float x);
template <> inline float narrow<float>(float x) { return x; }
template <> inline bf16 narrow<bf16>(float x) {
    const u32 b = bits(x);
    if (x != x) {
        return bf16{static_cast<uint16_t>(b >> 16 | 0x40)};
    }
    // To the nearest, to the even one of two.
    return bf16{static_cast<uint16_t>((b + 0x7FFF + (b >> 16 & 1)) >> 16)};
}
template <> inline f16 narrow<f16>(float x) {
    const u32 sign = bits(x) >> 16 & 0x8000;
    const float magnitude = fabsf(x);
    if (x != x) {
        return f16{static_cast<uint16_t>(sign | 0x7E00)};
    }
    if (magnitude >= 65520.0f) {
        return f16{static_cast<uint16_t>(sign | 0x7C00)};
    }
    if (magnitude < 0x1p-14f) {
        // A multiple of the smallest number; the sum rounds to it.
        return f16{static_cast<uint16_t>(sign | (bits(magnitude + 0.5f) - bits(0.5f)))};
    }
    const u32 b = bits(magnitude) - (112u << 23);
    return f16{static_cast<uint16_t>(sign | (b + 0xFFF + (b >> 13 & 1)) >> 13)};
}

namespace shim {

typedef void (*Body)(const void*);

struct Entry {
    u64 args;
    Body body;
};

inline std::map<std::string, Entry>& entries() {
    static std::map<std::string, Entry> all;
    return all;
}

struct Registration {
    Registration(const char* name, u64 args, Body body) { entries()[name] = Entry{args, body}; }
};

// Shared memory of a block, as much as every card gives without being asked.
constexpr size_t SHARED_BYTES = 48 * 1024;
constexpr size_t STACK_BYTES = 128 * 1024;

// What all threads of a warp do together, with what each of them brings.
typedef void (*Together)(void* const (&brought)[LANES]);

// A copy to shared memory that a thread has begun.
struct Copying {
    void* to;
    const void* from;
    u64 group;
};

// A stack of its own on which threads run one after the other, until one of them waits.
struct Fiber {
    std::unique_ptr<char[]> stack{new char[STACK_BYTES]};
    jmp_buf place;
    bool begun = false;
    // At a barrier, or for its warp.
    bool at_barrier = false;
    Together together = nullptr;
    void* brings = nullptr;
    Index thread;
    std::vector<Copying> copies;
    u64 groups = 0;

    bool waits() const { return at_barrier || together != nullptr; }
};

typedef std::vector<std::unique_ptr<Fiber>> Fibers;

alignas(256) static unsigned char shared_memory[SHARED_BYTES];
static jmp_buf scheduler;
static Fibers idle;
static Fiber* running;
// Of the block: its threads, how many of them have begun, and how many may begin now.
static u32 threads, begun, may_begin;
static bool backwards;
// A chunk lies where none can be, or goes where no shared memory is.
static bool misplaced;
// An operand comes from where no memory of the card is.
static bool strayed;
// The rows of a matrix lie in the same banks, so that a card would load it in several turns.
static bool crowded;
static Body body;
static const void* arguments;

// A piece of the card's memory: its first byte, and the one after its last.
struct Piece {
    u64 begin, end;
};
// All of it, from low to high.
static const Piece* memory;
static u64 pieces;

template <class Type> Type* shared() {
    static_assert(sizeof(Type) <= SHARED_BYTES, "more shared memory than every card gives");
    return reinterpret_cast<Type*>(shared_memory);
}

// Back to the scheduler, until it resumes this fiber.
inline void yield() {
    if (_setjmp(running->place) == 0) {
        _longjmp(scheduler, 1);
    }
}

inline void work() {
    for (;;) {
        while (begun < may_begin) {
            const u32 thread = backwards ? threads - 1 - begun : begun;
            begun++;
            threadIdx = running->thread = Index{thread, 0, 0};
            running->copies.clear();
            running->groups = 0;
            body(arguments);
        }
        yield();
    }
}

// Runs a fiber until it yields. Contexts are for its beginning only, since they ask the system each time.
inline void resume(Fiber* fiber) {
    running = fiber;
    threadIdx = fiber->thread;
    fiber->at_barrier = false;
    fiber->together = nullptr;
    if (_setjmp(scheduler) == 0) {
        if (running->begun) {
            _longjmp(running->place, 1);
        }
        static ucontext_t start;
        running->begun = true;
        getcontext(&start);
        start.uc_stack.ss_sp = running->stack.get();
        start.uc_stack.ss_size = STACK_BYTES;
        start.uc_link = nullptr;
        makecontext(&start, work, 0);
        setcontext(&start);
    }
}

// Begins a warp's threads; those that wait are its fibers.
inline void begin(Fibers& warp) {
    for (may_begin = begun + LANES; begun < may_begin;) {
        if (idle.empty()) {
            idle.emplace_back(new Fiber);
        }
        resume(idle.back().get());
        if (running->waits()) {
            warp.push_back(std::move(idle.back()));
            idle.pop_back();
        }
    }
}

// Lets a warp's threads go on until they wait again; those that end leave it.
inline void go_on(Fibers& warp) {
    for (auto& fiber : warp) {
        resume(fiber.get());
        if (!fiber->waits()) {
            idle.push_back(std::move(fiber));
        }
    }
    warp.erase(std::remove(warp.begin(), warp.end(), nullptr), warp.end());
}

// Lets a warp go on until its threads are all at a barrier, or all at their end. False where they do not stay together.
inline bool advance(Fibers& warp) {
    while (!warp.empty()) {
        const Together together = warp[0]->together;
        for (const auto& fiber : warp) {
            if (warp.size() != LANES || fiber->together != together) {
                return false;
            }
        }
        if (together == nullptr) {
            return true;
        }
        void* brought[LANES];
        for (const auto& fiber : warp) {
            brought[fiber->thread.x % LANES] = fiber->brings;
        }
        together(brought);
        go_on(warp);
    }
    return true;
}

// False where some threads wait for others that never come.
inline bool run_block() {
    memset(shared_memory, 0xFF, SHARED_BYTES);
    std::vector<Fibers> warps(threads / LANES);
    begun = 0;
    bool whole = true;
    for (auto& warp : warps) {
        begin(warp);
        whole = advance(warp) && whole;
    }
    // From barrier to barrier.
    while (whole && !warps[0].empty()) {
        for (auto& warp : warps) {
            whole = whole && !warp.empty();
        }
        for (auto& warp : warps) {
            if (whole) {
                go_on(warp);
                whole = advance(warp);
            }
        }
    }
    for (auto& warp : warps) {
        whole = whole && warp.empty();
    }
    return whole;
}

}  // namespace shim

inline void barrier() {
    shim::running->at_barrier = true;
    shim::yield();
}

// Fibers change places at barriers only, so nothing comes between.
inline void add_in_block(u32* to, u32 x) { *to += x; }

#include "warp.h"

enum { LAUNCHED = 0, NO_SUCH_KERNEL = 1, OTHER_ARGUMENTS = 2, DIVERGED = 3, MISPLACED = 4, CROWDED = 5, STRAYED = 6 };

// One launch at a time. `backwards` runs blocks and threads last to first. What is read by `read` and copies lies in `memory`.
extern "C" int shim_launch(const char* name, u32 across, u32 down, u32 threads, const void* args, u64 size, int backwards,
                           const shim::Piece* memory, u64 pieces) {
    const auto found = shim::entries().find(name);
    if (found == shim::entries().end()) {
        return NO_SUCH_KERNEL;
    }
    if (found->second.args != size) {
        return OTHER_ARGUMENTS;
    }
    shim::body = found->second.body;
    shim::arguments = args;
    shim::threads = threads;
    shim::backwards = backwards != 0;
    shim::misplaced = shim::crowded = shim::strayed = false;
    shim::memory = memory;
    shim::pieces = pieces;
    const u64 blocks = static_cast<u64>(across) * down;
    for (u64 i = 0; i < blocks; i++) {
        const u64 block = backwards ? blocks - 1 - i : i;
        blockIdx = Index{static_cast<u32>(block % across), static_cast<u32>(block / across), 0};
        if (!shim::run_block()) {
            return DIVERGED;
        }
    }
    return shim::misplaced ? MISPLACED : shim::crowded ? CROWDED : shim::strayed ? STRAYED : LAUNCHED;
}
