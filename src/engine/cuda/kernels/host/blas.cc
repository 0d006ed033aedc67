// NVIDIA's cuBLASLt, played on the cards of driver.cc: the calls that the engine makes, refused where NVIDIA's documents say so.
// Knows no operation.
//
//   c++ -std=c++17 -O2 -shared -fPIC -Wl,-soname,libcublasLt.so.12 -o FOLDER/libcublasLt.so.12 blas.cc
//
// The folder of the cards may have these files, besides those of the driver:
//
//   blas-wrong  products are not what they should be
//   blas-lacks  no handle is given
//   blas-crashes  a product takes the process with it
//
// and gets one, blas-handles, with the number of handles that this process has.
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

typedef uint32_t Status;
constexpr Status SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, INTERNAL_ERROR = 14, NOT_SUPPORTED = 15;
// Types of data, sums, and what is done with an operand.
constexpr int R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, TRANSPOSED = 1;
constexpr uint32_t EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4;
// What an algorithm of these wants to work with, and which it is.
constexpr uint64_t WORKSPACE = 1024, MAGIC = 0xB1A5;
constexpr uint64_t WORKSPACE_ALIGN = 256;

struct Operation {
    int compute, scale, transa = 0, transb = 0;
    uint32_t epilogue = EPILOGUE_DEFAULT;
    uint64_t bias = 0;
};
struct Layout {
    int type;
    uint64_t rows, cols;
    int64_t ld;
    int32_t batch = 1;
    int64_t stride = 0;

    uint64_t size() const { return type == R_32F ? 4 : 2; }
    // Bytes from the first to the last.
    uint64_t bytes() const { return ((batch - 1) * stride + (cols - 1) * ld + rows) * size(); }
};
struct Preference {
    uint64_t workspace = 0;
    uint32_t reduction = 7, alignment[4] = {256, 256, 256, 256};
};
struct Algorithm {
    uint64_t data[8];
};
struct Found {
    Algorithm algorithm;
    size_t workspace;
    Status state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Found) == 96, "as the header has it");

// A product on its way.
struct Product {
    Layout a, b, c, d;
    uint64_t at_a, at_b, at_c, at_d, bias, workspace;
    float alpha, beta;
};

std::set<void*> handles, operations, layouts, preferences;
// Kinds of products whose kernel is loaded.
std::set<std::string> loaded;

bool is_there(const char* name) {
    const char* folder = getenv("CARD_DOUBLE");
    return folder && access((std::string(folder) + "/" + name).c_str(), F_OK) == 0;
}

void tell_handles() {
    const char* folder = getenv("CARD_DOUBLE");
    FILE* file = folder ? fopen((std::string(folder) + "/blas-handles").c_str(), "w") : nullptr;
    if (file) {
        fprintf(file, "%zu", handles.size());
        fclose(file);
    }
}

template <class F> F of_driver(const char* name) {
    static void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    return reinterpret_cast<F>(driver ? dlsym(driver, name) : nullptr);
}

bool has(uint64_t address, uint64_t bytes) {
    static const auto ask = of_driver<int (*)(uint64_t, uint64_t)>("played_has");
    return ask(address, bytes);
}

float widen(uint64_t at, int type, uint64_t i) {
    if (type == R_32F) {
        return reinterpret_cast<const float*>(at)[i];
    }
    if (type == R_16F) {
        return static_cast<float>(reinterpret_cast<const _Float16*>(at)[i]);
    }
    const uint32_t bits = static_cast<uint32_t>(reinterpret_cast<const uint16_t*>(at)[i]) << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

void store(uint64_t at, int type, uint64_t i, float value) {
    if (type == R_32F) {
        reinterpret_cast<float*>(at)[i] = value;
    } else if (type == R_16F) {
        reinterpret_cast<_Float16*>(at)[i] = static_cast<_Float16>(value);
    } else {
        uint32_t bits;
        memcpy(&bits, &value, 4);
        // To the nearest, halves to even.
        reinterpret_cast<uint16_t*>(at)[i] = static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
}

int multiply(const void* what) {
    const Product& p = *static_cast<const Product*>(what);
    const uint64_t bias = p.d.rows * p.d.size();
    const bool whole = has(p.at_a, p.a.bytes()) && has(p.at_b, p.b.bytes()) && has(p.at_d, p.d.bytes()) &&
                       (p.beta == 0 || has(p.at_c, p.c.bytes())) && (!p.bias || has(p.bias, bias)) && has(p.workspace, WORKSPACE);
    if (!whole) {
        fprintf(stderr, "played cuBLASLt: an operand is not memory of the card\n");
        return 700;
    }
    // Nobody may have anything here.
    memset(reinterpret_cast<void*>(p.workspace), 0xFF, WORKSPACE);
    const float wrong = is_there("blas-wrong") ? 1.5f : 1.0f;
    for (int64_t n = 0; n < p.d.batch; n++) {
        for (uint64_t col = 0; col < p.d.cols; col++) {
            for (uint64_t row = 0; row < p.d.rows; row++) {
                float sum = 0;
                for (uint64_t k = 0; k < p.a.rows; k++) {
                    sum += widen(p.at_a, p.a.type, n * p.a.stride + row * p.a.ld + k) * widen(p.at_b, p.b.type, n * p.b.stride + col * p.b.ld + k);
                }
                const uint64_t at = n * p.d.stride + col * p.d.ld + row;
                float value = p.alpha * wrong * sum;
                value += p.beta == 0 ? 0 : p.beta * widen(p.at_c, p.c.type, n * p.c.stride + col * p.c.ld + row);
                value += p.bias ? widen(p.bias, p.d.type, row) : 0;
                store(p.at_d, p.d.type, at, value);
            }
        }
    }
    return 0;
}

// An attribute of the size that the header gives it.
template <class T> Status set(T& to, const void* from, size_t size) {
    if (!from || size != sizeof(T)) {
        return INVALID_VALUE;
    }
    memcpy(&to, from, size);
    return SUCCESS;
}

bool same(const Layout& a, const Layout& b) {
    return a.type == b.type && a.rows == b.rows && a.cols == b.cols && a.ld == b.ld && a.batch == b.batch && a.stride == b.stride;
}

// Whether this can be done at all: op(a) b where a is transposed, of half types, added up in f32.
Status possible(void* operation, void* a_layout, void* b_layout, void* c_layout, void* d_layout) {
    const bool known = operations.count(operation) && layouts.count(a_layout) && layouts.count(b_layout) && layouts.count(c_layout) && layouts.count(d_layout);
    if (!known) {
        return INVALID_VALUE;
    }
    const auto& op = *static_cast<Operation*>(operation);
    const auto &a = *static_cast<Layout*>(a_layout), &b = *static_cast<Layout*>(b_layout), &c = *static_cast<Layout*>(c_layout),
               &d = *static_cast<Layout*>(d_layout);
    const bool fits = op.transa == TRANSPOSED && op.transb == 0 && a.rows == b.rows && a.cols == d.rows && b.cols == d.cols && same(c, d) && a.batch == d.batch && b.batch == d.batch;
    if (!fits || op.compute != COMPUTE_32F || op.scale != R_32F) {
        return INVALID_VALUE;
    }
    const bool types = a.type != R_32F && a.type == b.type && (d.type == a.type || d.type == R_32F);
    if (!types || (op.epilogue != EPILOGUE_DEFAULT && op.epilogue != EPILOGUE_BIAS) || (op.epilogue == EPILOGUE_BIAS && !op.bias)) {
        return NOT_SUPPORTED;
    }
    // Matrices of a batch must not lie over each other where they are written.
    return d.batch > 1 && d.stride < static_cast<int64_t>(d.cols * d.ld) ? INVALID_VALUE : SUCCESS;
}

template <class T> Status end(void* handle, std::set<void*>& all) {
    if (!all.erase(handle)) {
        return INVALID_VALUE;
    }
    delete static_cast<T*>(handle);
    return SUCCESS;
}

}  // namespace

extern "C" {

size_t cublasLtGetVersion() { return 120900; }

const char* cublasLtGetStatusString(Status status) {
    switch (status) {
        case NOT_INITIALIZED: return "the library was not initialized";
        case INVALID_VALUE: return "an unsupported value or parameter was passed to the function";
        case EXECUTION_FAILED: return "the function failed to launch on the GPU";
        case NOT_SUPPORTED: return "the functionality requested is not supported";
        default: return "a played status";
    }
}

Status cublasLtCreate(void** handle) {
    if (is_there("blas-lacks")) {
        return NOT_INITIALIZED;
    }
    *handle = new int(0);
    handles.insert(*handle);
    tell_handles();
    return SUCCESS;
}

Status cublasLtDestroy(void* handle) {
    const Status ended = end<int>(handle, handles);
    tell_handles();
    // Who ends the library has ended everything of it.
    const size_t left = operations.size() + layouts.size() + preferences.size();
    if (left > 0) {
        fprintf(stderr, "played cuBLASLt: %zu descriptors are left\n", left);
        abort();
    }
    return ended;
}

Status cublasLtMatmulDescCreate(void** operation, int compute, int scale) {
    *operation = new Operation{compute, scale};
    operations.insert(*operation);
    return SUCCESS;
}

Status cublasLtMatmulDescDestroy(void* operation) { return end<Operation>(operation, operations); }

Status cublasLtMatmulDescSetAttribute(void* operation, int attribute, const void* value, size_t size) {
    if (!operations.count(operation)) {
        return INVALID_VALUE;
    }
    auto& op = *static_cast<Operation*>(operation);
    switch (attribute) {
        case 3: return set(op.transa, value, size);
        case 4: return set(op.transb, value, size);
        case 7: return set(op.epilogue, value, size);
        case 8: return set(op.bias, value, size);
        default: return NOT_SUPPORTED;
    }
}

Status cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t cols, int64_t ld) {
    if (rows == 0 || cols == 0 || ld < static_cast<int64_t>(rows)) {
        return INVALID_VALUE;
    }
    *layout = new Layout{type, rows, cols, ld};
    layouts.insert(*layout);
    return SUCCESS;
}

Status cublasLtMatrixLayoutDestroy(void* layout) { return end<Layout>(layout, layouts); }

Status cublasLtMatrixLayoutSetAttribute(void* layout, int attribute, const void* value, size_t size) {
    if (!layouts.count(layout)) {
        return INVALID_VALUE;
    }
    auto& of = *static_cast<Layout*>(layout);
    switch (attribute) {
        case 5: return set(of.batch, value, size);
        case 6: return set(of.stride, value, size);
        default: return NOT_SUPPORTED;
    }
}

Status cublasLtMatmulPreferenceCreate(void** preference) {
    *preference = new Preference;
    preferences.insert(*preference);
    return SUCCESS;
}

Status cublasLtMatmulPreferenceDestroy(void* preference) { return end<Preference>(preference, preferences); }

Status cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value, size_t size) {
    if (!preferences.count(preference)) {
        return INVALID_VALUE;
    }
    auto& of = *static_cast<Preference*>(preference);
    switch (attribute) {
        case 1: return set(of.workspace, value, size);
        case 3: return set(of.reduction, value, size);
        case 5: case 6: case 7: case 8: return set(of.alignment[attribute - 5], value, size);
        default: return NOT_SUPPORTED;
    }
}

Status cublasLtMatmulAlgoGetHeuristic(void* handle, void* operation, void* a, void* b, void* c, void* d, void* preference, int wanted, Found* found, int* count) {
    *count = 0;
    if (!handles.count(handle) || !preferences.count(preference) || wanted < 1) {
        return INVALID_VALUE;
    }
    const Status told = possible(operation, a, b, c, d);
    const auto& of = *static_cast<Preference*>(preference);
    if (told != SUCCESS || of.workspace < WORKSPACE) {
        return told != SUCCESS ? told : NOT_SUPPORTED;
    }
    // Which it is depends on how much there is to do, as with NVIDIA's.
    *found = Found{{{MAGIC, static_cast<Layout*>(d)->cols}}, WORKSPACE, SUCCESS, 1.0f, {}};
    *count = 1;
    return SUCCESS;
}

Status cublasLtMatmulAlgoCheck(void* handle, void* operation, void* a, void* b, void* c, void* d, const Algorithm* algorithm, Found* found) {
    const Status told = handles.count(handle) ? possible(operation, a, b, c, d) : INVALID_VALUE;
    // Some batches are beyond it, so that these are done picture by picture: those of the engine's trial, and not its recordings'.
    const bool able = algorithm->data[0] == MAGIC && static_cast<Layout*>(d)->rows % 48 != 0;
    if (told != SUCCESS || !able) {
        return told != SUCCESS ? told : NOT_SUPPORTED;
    }
    *found = Found{*algorithm, WORKSPACE, SUCCESS, 1.0f, {}};
    return SUCCESS;
}

Status cublasLtMatmul(void* handle, void* operation, const void* alpha, const void* a, void* a_layout, const void* b, void* b_layout, const void* beta, const void* c, void* c_layout, void* d, void* d_layout, const Algorithm* algorithm, void* workspace, size_t bytes, void* stream) {
    if (is_there("blas-crashes")) {
        abort();
    }
    const Status told = handles.count(handle) ? possible(operation, a_layout, b_layout, c_layout, d_layout) : INVALID_VALUE;
    if (told != SUCCESS) {
        return told;
    }
    const auto& op = *static_cast<Operation*>(operation);
    const auto address = [](const void* at) { return reinterpret_cast<uint64_t>(at); };
    const uint64_t bias = op.epilogue == EPILOGUE_BIAS ? op.bias : 0;
    Product product{*static_cast<Layout*>(a_layout), *static_cast<Layout*>(b_layout), *static_cast<Layout*>(c_layout), *static_cast<Layout*>(d_layout), address(a), address(b), address(c), address(d), bias, address(workspace), 0, 0};
    memcpy(&product.alpha, alpha, 4);
    memcpy(&product.beta, beta, 4);
    for (const uint64_t at : {product.at_a, product.at_b, product.at_c, product.at_d, bias}) {
        if (at % 16 != 0) {
            return INVALID_VALUE;
        }
    }
    if (algorithm->data[0] != MAGIC || algorithm->data[1] != product.d.cols || bytes < WORKSPACE || product.workspace % WORKSPACE_ALIGN != 0) {
        return INVALID_VALUE;
    }
    const std::string kind = std::to_string(product.a.type) + " " + std::to_string(product.d.type) + " " + std::to_string(product.d.cols);
    const bool loads = loaded.insert(kind).second;
    static const auto send = of_driver<int (*)(void*, int, int (*)(const void*), const void*, size_t)>("played_send");
    return send(stream, loads, multiply, &product, sizeof(product)) == 0 ? SUCCESS : INTERNAL_ERROR;
}

}  // extern "C"
