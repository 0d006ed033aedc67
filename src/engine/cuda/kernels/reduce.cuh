// Reductions over a block in an order that depends on nothing but the number of values. Knows no operation.
#pragma once
#include "platform.cuh"

// How many numbers, their mean, and the sum of their squared distances from it: two of these can be put together
// without the cancellation that sums of squares have (Chan, Golub and LeVeque 1983).
struct Moments {
    float count;
    float mean;
    float m2;
};

DEVICE Moments no_moments() { return Moments{0.0f, 0.0f, 0.0f}; }

DEVICE Moments together(const Moments& a, const Moments& b) {
    const float count = a.count + b.count;
    if (count == 0.0f) {
        return a;
    }
    const float apart = b.mean - a.mean;
    const float share = b.count / count;
    return Moments{count, a.mean + apart * share, a.m2 + b.m2 + apart * apart * a.count * share};
}

DEVICE float together(float a, float b) { return a + b; }

// Takes numbers one by one. Distances are taken from the first, which is near the mean where the mean is far from 0.
struct Gather {
    float first;
    float count;
    float sum;
    float squares;
};

DEVICE Gather gather_around(float first) { return Gather{first, 0.0f, 0.0f, 0.0f}; }

DEVICE void take(Gather& g, float x) {
    const float d = x - g.first;
    g.count += 1.0f;
    g.sum += d;
    g.squares += d * d;
}

DEVICE Moments moments(const Gather& g) {
    if (g.count == 0.0f) {
        return no_moments();
    }
    const float mean = g.sum / g.count;
    return Moments{g.count, g.first + mean, fmaxf(g.squares - g.sum * mean, 0.0f)};
}

// All threads' values put together, in the order of a binary tree; every thread gets the result. Every thread calls it.
template <class V> DEVICE V of_block(V* places, V mine) {
    places[threadIdx.x] = mine;
    barrier();
    for (u32 reach = THREADS / 2; reach > 0; reach /= 2) {
        if (threadIdx.x < reach) {
            places[threadIdx.x] = together(places[threadIdx.x], places[threadIdx.x + reach]);
        }
        barrier();
    }
    const V all = places[0];
    // The places may be used again at once.
    barrier();
    return all;
}
