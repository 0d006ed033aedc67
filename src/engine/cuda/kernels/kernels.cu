// All kernels in one piece, which is what the compilers are given. Knows no operation.
#include "attention.cu"
#include "attention_mma.cu"
#include "elementwise.cu"
#include "latents.cu"
#include "norm.cu"
#include "product.cu"
#include "product_mma.cu"
