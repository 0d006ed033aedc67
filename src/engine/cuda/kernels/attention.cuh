// What the kernels of attention are told. Knows no tile.
#pragma once
#include "element.cuh"

struct AttentionArgs {
    // [n, queries, heads * size]
    Operand dst;
    Operand q;
    // As `pack_kv` writes it
    Operand kv;
    // Elements of all keys
    u64 values;
    u32 queries, tokens, heads, size;
    // Nearest f32 to size^-1/2
    float scale;
    u32 causal;
};
