// Handing a descriptor from a producer to the sequencer: ns per hand-over, one producer pushing in bursts, and for comparison the same through a
// mutex and a condition variable.
#include <benchmark/benchmark.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

extern "C" {
#include "pipeline/ring.h"
}

namespace {

constexpr int kBurst = 1024;

void ring_same_thread(benchmark::State &state)
{
    lum__ring *ring = nullptr;
    if (lum__ring_create(4096, &ring) != LUM_OK) return state.SkipWithError("out of memory");
    int item = 0;
    for (auto _ : state) {
        for (int i = 0; i < kBurst; i++) lum__ring_push(ring, &item);
        for (int i = 0; i < kBurst; i++) benchmark::DoNotOptimize(lum__ring_pop(ring));
    }
    lum__ring_destroy(ring);
    state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(ring_same_thread);

void ring_between_threads(benchmark::State &state)
{
    lum__ring *ring = nullptr;
    if (lum__ring_create(4096, &ring) != LUM_OK) return state.SkipWithError("out of memory");
    int item = 0, last = 0;
    std::thread consumer([&] {
        for (;;) {
            void *popped = lum__ring_pop(ring);
            if (popped == &last) return;
            if (popped == nullptr) lum__ring_wait(ring, UINT64_MAX);
        }
    });
    for (auto _ : state) {
        for (int i = 0; i < kBurst; i++) lum__ring_push(ring, &item);
    }
    lum__ring_push(ring, &last);
    consumer.join();
    lum__ring_destroy(ring);
    state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(ring_between_threads)->UseRealTime();

void mutex_between_threads(benchmark::State &state)
{
    std::mutex mutex;
    std::condition_variable filled;
    std::deque<int> items;
    std::thread consumer([&] {
        for (;;) {
            std::unique_lock<std::mutex> lock(mutex);
            filled.wait(lock, [&] { return !items.empty(); });
            int item = items.front();
            items.pop_front();
            if (item < 0) return;
        }
    });
    auto push = [&](int item) {
        {
            std::lock_guard<std::mutex> lock(mutex);
            items.push_back(item);
        }
        filled.notify_one();
    };
    for (auto _ : state) {
        for (int i = 0; i < kBurst; i++) push(i);
    }
    push(-1);
    consumer.join();
    state.SetItemsProcessed(state.iterations() * kBurst);
}
BENCHMARK(mutex_between_threads)->UseRealTime();

} // namespace
