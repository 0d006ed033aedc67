// NVIDIA's driver, played on a host that has no card: the calls that the engine makes, with kernels as the shim runs them. Knows
// no operation. For tests, and for people who want to see the program on a GPU that they do not have:
//
//   c++ -std=c++17 -O2 -U_FORTIFY_SOURCE -shared -fPIC -Wl,-soname,libcuda.so.1 -o FOLDER/libcuda.so driver.cc
//   LD_LIBRARY_PATH=FOLDER CARD_DOUBLE=CARD easel serve
//
// The cards are a folder, as they are to the management library of the tests (src/tests/comfy/nvml.c). Its files are read anew
// whenever they count:
//
//   total      bytes of each card (1 GiB)
//   PID        bytes that this process holds of each card, while it lives; its own is written by the driver
//   count      how many cards; the one that the driver counts first is the last on the PCI bus (1)
//   version    of CUDA, as drivers say it (13000)
//   capability what the cards can compute, as in sm_89 (89)
//   fault      while it is there, kernels meet an illegal address
//   crashes    while it is there, a kernel takes the process with it
//   hangs      while it is there, no kernel ends
//   exclusive  another program has the cards for itself
//   imageless  no image is taken for one
//
// blas.cc beside it plays cuBLASLt on the same cards.
//
// Like a card it does what it is sent later: when somebody waits for it, and one thing with each question whether it is done.
#include "../kernels.cu"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <mutex>
#include <set>

namespace {

typedef int Result;
constexpr Result SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, DEVICE_UNAVAILABLE = 46, INVALID_DEVICE = 101,
                 INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
                 CAPTURE_UNSUPPORTED = 900;
constexpr int PCI_BUS = 33, PCI_SLOT = 34, PCI_DOMAIN = 50, CAPABILITY_MAJOR = 75, CAPABILITY_MINOR = 76;
constexpr u64 ALIGN = 256;
// What a context costs by itself.
constexpr u64 CONTEXT_BYTES = 16u << 20;
// What a graph costs that can be launched.
constexpr u64 GRAPH_BYTES = 64u << 10;
constexpr u32 MOST_ACROSS = 0x7FFFFFFF, MOST_DOWN = 65535, MOST_THREADS = 1024;

std::string path(const std::string& name) {
    const char* folder = getenv("CARD_DOUBLE");
    return folder ? std::string(folder) + "/" + name : std::string();
}

bool is_there(const char* name) { return access(path(name).c_str(), F_OK) == 0; }

u64 number(const std::string& name, u64 otherwise) {
    FILE* file = fopen(path(name).c_str(), "r");
    if (!file) {
        return otherwise;
    }
    unsigned long long value = 0;
    const int read = fscanf(file, "%llu", &value);
    fclose(file);
    return read == 1 ? value : otherwise;
}

u64 held_by_others() {
    DIR* folder = opendir(path("").c_str());
    u64 bytes = 0;
    while (const dirent* entry = folder ? readdir(folder) : nullptr) {
        const int pid = atoi(entry->d_name);
        if (pid > 0 && pid != getpid() && access(("/proc/" + std::to_string(pid)).c_str(), F_OK) == 0) {
            bytes += number(entry->d_name, 0);
        }
    }
    if (folder) {
        closedir(folder);
    }
    return bytes;
}

// Whole or not at all: others read it at any time.
void tell_own(u64 bytes) {
    if (!getenv("CARD_DOUBLE")) {
        return;
    }
    const std::string own = path(std::to_string(getpid())), beside = path(".own" + std::to_string(getpid()));
    FILE* file = fopen(beside.c_str(), "w");
    if (file) {
        fprintf(file, "%llu", static_cast<unsigned long long>(bytes));
        fclose(file);
        rename(beside.c_str(), own.c_str());
    }
}

struct Launch {
    std::string kernel;
    u32 across, down, threads;
    std::vector<unsigned char> args;
};
struct Event {
    bool passed = true;
};
// What is done when its turn comes.
typedef std::function<Result()> Work;
typedef std::vector<Work> Graph;
// Captures of this kind allow that kernels are loaded meanwhile.
constexpr int RELAXED = 2;

struct Card {
    explicit Card(int ordinal) : ordinal(ordinal) {}

    int ordinal;
    int contexts = 0;
    int graphs = 0;
    // Nothing can be asked of it after a fault.
    Result fault = SUCCESS;
    std::map<u64, u64> memory;
    std::deque<Work> sent;

    u64 total() const { return number("total", 1u << 30); }
    u64 own() const {
        u64 used = contexts > 0 ? CONTEXT_BYTES + graphs * GRAPH_BYTES : 0;
        for (const auto& [address, bytes] : memory) {
            used += bytes;
        }
        return used;
    }
    u64 free() const {
        const u64 used = held_by_others() + own();
        return used < total() ? total() - used : 0;
    }
    bool has(u64 address, u64 bytes) const {
        const auto after = memory.upper_bound(address);
        if (after == memory.begin()) {
            return false;
        }
        const auto& [start, size] = *std::prev(after);
        return address - start + bytes <= size;
    }
    Result run(const Launch& launch) {
        while (is_there("hangs")) {
            usleep(10'000);
        }
        if (is_there("crashes")) {
            abort();
        }
        if (is_there("fault")) {
            return fault = ILLEGAL_ADDRESS;
        }
        std::vector<shim::Piece> pieces;
        for (const auto& [address, bytes] : memory) {
            pieces.push_back(shim::Piece{address, address + bytes});
        }
        const int told = shim_launch(launch.kernel.c_str(), launch.across, launch.down, launch.threads, launch.args.data(), launch.args.size(), 0, pieces.data(), pieces.size());
        if (told != 0) {
            fprintf(stderr, "played driver: %s: the shim says %d\n", launch.kernel.c_str(), told);
            fault = ILLEGAL_ADDRESS;
        }
        return fault;
    }
    // Does the next thing that was sent.
    void step() {
        const auto next = std::move(sent.front());
        sent.pop_front();
        if (fault == SUCCESS) {
            fault = next();
        }
    }
    Result settle() {
        while (!sent.empty()) {
            step();
        }
        return fault;
    }
};

struct Executable {
    Card* card;
    Graph works;
};

struct Stream {
    Card* card;
    Graph* noting = nullptr;
    int mode = 0;

    void send(Work work) {
        if (noting) {
            noting->push_back(std::move(work));
        } else {
            card->sent.push_back(std::move(work));
        }
    }
};

std::recursive_mutex one_at_a_time;
bool initialised = false;
std::vector<std::unique_ptr<Card>> cards;
std::set<void*> streams, graphs, executables, events, modules;
thread_local Card* current = nullptr;

typedef std::lock_guard<std::recursive_mutex> Turn;

// The card whose context is current in this thread, or what is wrong.
Result here(Card*& card) {
    if (!initialised) {
        return NOT_INITIALIZED;
    }
    if (!current || current->contexts == 0) {
        return INVALID_CONTEXT;
    }
    card = current;
    return card->fault;
}

bool capturing() {
    for (void* stream : streams) {
        if (static_cast<Stream*>(stream)->noting) {
            return true;
        }
    }
    return false;
}

#define HERE(card)                                      \
    const Turn turn(one_at_a_time);                     \
    Card* card = nullptr;                               \
    if (const Result wrong = here(card); wrong != SUCCESS) { \
        return wrong;                                   \
    }
#define KNOWN(handle, all)             \
    if (all.find(handle) == all.end()) { \
        return INVALID_HANDLE;         \
    }

template <class T> void drop(void* handle, std::set<void*>& all) {
    all.erase(handle);
    delete static_cast<T*>(handle);
}

}  // namespace

extern "C" {

Result cuInit(unsigned) {
    const Turn turn(one_at_a_time);
    for (int i = static_cast<int>(cards.size()); i < static_cast<int>(number("count", 1)); i++) {
        cards.emplace_back(new Card(i));
    }
    initialised = true;
    return SUCCESS;
}

Result cuDriverGetVersion(int* version) {
    *version = static_cast<int>(number("version", 13000));
    return SUCCESS;
}

Result cuGetErrorString(Result error, const char** words) {
    switch (error) {
        case OUT_OF_MEMORY: *words = "out of memory"; break;
        case INVALID_IMAGE: *words = "device kernel image is invalid"; break;
        case INVALID_CONTEXT: *words = "invalid device context"; break;
        case INVALID_HANDLE: *words = "invalid resource handle"; break;
        case NOT_FOUND: *words = "named symbol not found"; break;
        case ILLEGAL_ADDRESS: *words = "an illegal memory access was encountered"; break;
        case CAPTURE_UNSUPPORTED: *words = "operation not permitted when stream is capturing"; break;
        default: *words = "a played error";
    }
    return SUCCESS;
}

Result cuDeviceGetCount(int* count) {
    *count = static_cast<int>(cards.size());
    return initialised ? SUCCESS : NOT_INITIALIZED;
}

Result cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return ordinal >= 0 && ordinal < static_cast<int>(cards.size()) ? SUCCESS : INVALID_DEVICE;
}

Result cuDeviceGetName(char* name, int length, int device) {
    snprintf(name, length, "Played GPU %d", static_cast<int>(cards.size()) - 1 - device);
    return SUCCESS;
}

Result cuDeviceGetAttribute(int* value, int attribute, int device) {
    switch (attribute) {
        case PCI_DOMAIN: *value = 0; return SUCCESS;
        case PCI_BUS: *value = 0x40 - device; return SUCCESS;
        case PCI_SLOT: *value = 0; return SUCCESS;
        case CAPABILITY_MAJOR: *value = static_cast<int>(number("capability", 89)) / 10; return SUCCESS;
        case CAPABILITY_MINOR: *value = static_cast<int>(number("capability", 89)) % 10; return SUCCESS;
        default: return INVALID_VALUE;
    }
}

Result cuDevicePrimaryCtxRetain(void** context, int device) {
    const Turn turn(one_at_a_time);
    Card* card = cards.at(device).get();
    if (is_there("exclusive")) {
        return DEVICE_UNAVAILABLE;
    }
    if (card->contexts == 0 && card->free() < CONTEXT_BYTES) {
        return OUT_OF_MEMORY;
    }
    card->contexts++;
    tell_own(card->own());
    *context = card;
    return SUCCESS;
}

Result cuDevicePrimaryCtxRelease_v2(int device) {
    const Turn turn(one_at_a_time);
    Card* card = cards.at(device).get();
    if (card->contexts == 0) {
        return INVALID_CONTEXT;
    }
    if (--card->contexts == 0) {
        for (const auto& [address, bytes] : card->memory) {
            ::free(reinterpret_cast<void*>(address));
        }
        card->memory.clear();
    }
    tell_own(card->own());
    return SUCCESS;
}

Result cuCtxSetCurrent(void* context) {
    current = static_cast<Card*>(context);
    return SUCCESS;
}

Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    HERE(card)
    *free = card->free();
    *total = card->total();
    return SUCCESS;
}

Result cuMemAlloc_v2(u64* address, size_t bytes) {
    HERE(card)
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    if (bytes > card->free()) {
        return OUT_OF_MEMORY;
    }
    const u64 rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    void* memory = aligned_alloc(ALIGN, rounded);
    // Anything but zeros.
    memset(memory, 0xA5, rounded);
    *address = reinterpret_cast<u64>(memory);
    card->memory[*address] = bytes;
    tell_own(card->own());
    return SUCCESS;
}

Result cuMemFree_v2(u64 address) {
    HERE(card)
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    if (card->memory.find(address) == card->memory.end()) {
        return INVALID_VALUE;
    }
    const Result settled = card->settle();
    card->memory.erase(address);
    ::free(reinterpret_cast<void*>(address));
    tell_own(card->own());
    return settled;
}

Result cuStreamCreate(void** stream, unsigned) {
    HERE(card)
    *stream = new Stream{card};
    streams.insert(*stream);
    return SUCCESS;
}

Result cuStreamDestroy_v2(void* stream) {
    const Turn turn(one_at_a_time);
    KNOWN(stream, streams)
    drop<Stream>(stream, streams);
    return SUCCESS;
}

Result cuStreamSynchronize(void* stream) {
    HERE(card)
    KNOWN(stream, streams)
    return capturing() ? CAPTURE_UNSUPPORTED : card->settle();
}

Result cuMemsetD8Async(u64 address, unsigned char value, size_t bytes, void* stream) {
    HERE(card)
    KNOWN(stream, streams)
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    card->sent.push_back([=]() -> Result {
        if (!card->has(address, bytes)) {
            return ILLEGAL_ADDRESS;
        }
        memset(reinterpret_cast<void*>(address), value, bytes);
        return SUCCESS;
    });
    return SUCCESS;
}

Result cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t bytes, void* stream) {
    HERE(card)
    KNOWN(stream, streams)
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    // What is not pinned is read before the call returns.
    const auto first = static_cast<const unsigned char*>(from);
    std::vector<unsigned char> read(first, first + bytes);
    card->sent.push_back([card, to, read = std::move(read)]() -> Result {
        if (!card->has(to, read.size())) {
            return ILLEGAL_ADDRESS;
        }
        memcpy(reinterpret_cast<void*>(to), read.data(), read.size());
        return SUCCESS;
    });
    return SUCCESS;
}

Result cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t bytes, void* stream) {
    HERE(card)
    KNOWN(stream, streams)
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    card->sent.push_back([=]() -> Result {
        if (!card->has(from, bytes)) {
            return ILLEGAL_ADDRESS;
        }
        memcpy(to, reinterpret_cast<const void*>(from), bytes);
        return SUCCESS;
    });
    return SUCCESS;
}

Result cuModuleLoadData(void** module, const void*) {
    HERE(card)
    if (is_there("imageless")) {
        return INVALID_IMAGE;
    }
    // The image is for cards; the kernels are this file's own.
    *module = new int(card->ordinal);
    modules.insert(*module);
    return SUCCESS;
}

Result cuModuleUnload(void* module) {
    const Turn turn(one_at_a_time);
    KNOWN(module, modules)
    drop<int>(module, modules);
    return SUCCESS;
}

Result cuModuleGetFunction(void** function, void* module, const char* name) {
    const Turn turn(one_at_a_time);
    KNOWN(module, modules)
    const auto found = shim::entries().find(name);
    if (found == shim::entries().end()) {
        return NOT_FOUND;
    }
    // Names lie where they are as long as the table.
    *function = const_cast<char*>(found->first.c_str());
    return SUCCESS;
}

Result cuLaunchKernel(void* function, u32 across, u32 down, u32 deep, u32 x, u32 y, u32 z, u32 shared, void* stream, void** params, void** extra) {
    HERE(card)
    KNOWN(stream, streams)
    const bool fits = across > 0 && across <= MOST_ACROSS && down > 0 && down <= MOST_DOWN && x > 0 && x <= MOST_THREADS;
    if (!fits || deep != 1 || y != 1 || z != 1 || shared != 0 || extra || !params || !params[0]) {
        return INVALID_VALUE;
    }
    const std::string kernel = static_cast<const char*>(function);
    const auto first = static_cast<const unsigned char*>(params[0]);
    Launch launch{kernel, across, down, x, std::vector<unsigned char>(first, first + shim::entries().at(kernel).args)};
    static_cast<Stream*>(stream)->send([card, launch = std::move(launch)] { return card->run(launch); });
    return SUCCESS;
}

Result cuStreamBeginCapture_v2(void* stream, int mode) {
    HERE(card)
    KNOWN(stream, streams)
    if (capturing()) {
        return CAPTURE_UNSUPPORTED;
    }
    static_cast<Stream*>(stream)->noting = new Graph;
    static_cast<Stream*>(stream)->mode = mode;
    return SUCCESS;
}

Result cuStreamEndCapture(void* stream, void** graph) {
    HERE(card)
    KNOWN(stream, streams)
    Stream* of = static_cast<Stream*>(stream);
    if (!of->noting) {
        return INVALID_VALUE;
    }
    *graph = of->noting;
    graphs.insert(*graph);
    of->noting = nullptr;
    return SUCCESS;
}

Result cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
    HERE(card)
    KNOWN(graph, graphs)
    *executable = new Executable{card, *static_cast<Graph*>(graph)};
    executables.insert(*executable);
    card->graphs++;
    return SUCCESS;
}

Result cuGraphDestroy(void* graph) {
    const Turn turn(one_at_a_time);
    KNOWN(graph, graphs)
    drop<Graph>(graph, graphs);
    return SUCCESS;
}

Result cuGraphExecDestroy(void* executable) {
    const Turn turn(one_at_a_time);
    KNOWN(executable, executables)
    static_cast<Executable*>(executable)->card->graphs--;
    drop<Executable>(executable, executables);
    return SUCCESS;
}

Result cuGraphLaunch(void* executable, void* stream) {
    HERE(card)
    KNOWN(executable, executables)
    KNOWN(stream, streams)
    for (const Work& work : static_cast<Executable*>(executable)->works) {
        card->sent.push_back(work);
    }
    return SUCCESS;
}

Result cuEventCreate(void** event, unsigned) {
    HERE(card)
    *event = new Event;
    events.insert(*event);
    return SUCCESS;
}

Result cuEventRecord(void* event, void* stream) {
    HERE(card)
    KNOWN(event, events)
    KNOWN(stream, streams)
    static_cast<Event*>(event)->passed = false;
    card->sent.push_back([event]() -> Result {
        // It may be gone by now, as far as whoever sent it is concerned.
        if (events.find(event) != events.end()) {
            static_cast<Event*>(event)->passed = true;
        }
        return SUCCESS;
    });
    return SUCCESS;
}

Result cuEventQuery(void* event) {
    HERE(card)
    KNOWN(event, events)
    if (static_cast<Event*>(event)->passed) {
        return SUCCESS;
    }
    if (!card->sent.empty()) {
        card->step();
    }
    return card->fault != SUCCESS ? card->fault : static_cast<Event*>(event)->passed ? SUCCESS : NOT_READY;
}

Result cuEventDestroy_v2(void* event) {
    const Turn turn(one_at_a_time);
    KNOWN(event, events)
    drop<Event>(event, events);
    return SUCCESS;
}

// For libraries that are played beside this one.

// Sends work on a stream as kernels are sent; `what` is copied. `loads`: a kernel is loaded for it first.
Result played_send(void* stream, int loads, int (*work)(const void* what), const void* what, size_t bytes) {
    HERE(card)
    KNOWN(stream, streams)
    Stream* on = static_cast<Stream*>(stream);
    if (loads && on->noting && on->mode != RELAXED) {
        return CAPTURE_UNSUPPORTED;
    }
    const auto first = static_cast<const unsigned char*>(what);
    on->send([card, work, copy = std::vector<unsigned char>(first, first + bytes)]() -> Result {
        if (is_there("fault")) {
            return card->fault = ILLEGAL_ADDRESS;
        }
        return card->fault = work(copy.data());
    });
    return SUCCESS;
}

// Whether the current card has these bytes.
int played_has(u64 address, u64 bytes) {
    const Turn turn(one_at_a_time);
    return current && current->has(address, bytes);
}

}  // extern "C"
