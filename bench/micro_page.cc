// bench/micro_page.cc - what a LUM costs between memory and encoded page: LUM checksum, page encode and decode (every
// workload, every instruction level this CPU has), single columns in each encoding, and the page CRC. One thread, pages
// in cache; `ns_per_lum` is the figure, `bytes_per_lum` the size.
//
//   seed    everything in steps                       random  ids in steps, times nearly so, positions and types at
//   random tracks  a thousand devices in turn, each walking  (tests/support/page_rows.h)

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" // compound literals
extern "C" {
#include "base/crc32c.h"
#include "storage/page.h"
#include "storage/page_format.h"
#include "storage/page_kernel.h"
#include "storage/record.h"
#include "tests/support/page_rows.h"
}

#pragma GCC diagnostic pop

namespace {

constexpr uint32_t kRows = LUM__PAGE_ROWS_MAX;
constexpr uint32_t kPages = 4;

template <typename T> struct Aligned {
    explicit Aligned(size_t count)
        : data(static_cast<T *>(std::aligned_alloc(4096, (count * sizeof(T) + 4095) / 4096 * 4096)))
    {
        std::memset(data, 0, count * sizeof(T));
    }
    ~Aligned() { std::free(data); }
    Aligned(const Aligned &) = delete;
    T *data;
};

const char *const kWorkloads[] = {"seed", "random", "tracks"};
const char *const kLevels[] = {"baseline", "avx2", "avx512"};

struct Setting {
    Aligned<lum__page_scratch> scratch{1};
    Aligned<lum_t> rows{kPages * kRows};
    Aligned<uint8_t> page{kPages * static_cast<size_t>(LUM__PAGE_BYTES_MAX)};
    lum__page_summary summary[kPages];

    explicit Setting(int workload)
    {
        static page_rows_walk walk;
        for (uint32_t i = 0; i < kPages; i++) {
            lum_t *part = rows.data + i * kRows;
            if (workload == 0) page_rows_seed(part, i * kRows, kRows);
            if (workload == 1) page_rows_random(part, i * kRows, kRows);
            if (workload == 2) page_rows_tracks(part, i * kRows, kRows, &walk);
            lum__page_encode(scratch.data, part, kRows, false, at(i), &summary[i]);
        }
    }
    uint8_t *at(uint32_t i) { return page.data + i * static_cast<size_t>(LUM__PAGE_BYTES_MAX); }
    double bytes_per_lum() const
    {
        double bytes = 0;
        for (const auto &one : summary) bytes += one.byte_count;
        return bytes / kPages / kRows;
    }
};

// The counter that all of these are about, in CPU time: the machine may be shared. Make one right before the loop.
class Report {
  public:
    Report(benchmark::State &state, double lums_per_iteration)
        : state_(state), lums_(lums_per_iteration), begin_(cpu_ns())
    {
    }
    ~Report()
    {
        state_.counters["ns_per_lum"] = (cpu_ns() - begin_) / lums_ / static_cast<double>(state_.iterations());
    }

  private:
    static double cpu_ns()
    {
        timespec now;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
    }

    benchmark::State &state_;
    double lums_, begin_;
};

bool use_level(benchmark::State &state, int level)
{
    const lum__page_kernel *kernel = lum__page_kernel_by_name(kLevels[level]);
    if (kernel == nullptr) state.SkipWithError("this CPU lacks the level");
    lum__page_kernel_force(kernel);
    return kernel != nullptr;
}

void encode(benchmark::State &state, int workload, int level)
{
    if (!use_level(state, level)) return;
    Setting setting(workload);
    Report report(state, kPages * kRows);
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPages; i++)
            lum__page_encode(setting.scratch.data, setting.rows.data + i * kRows, kRows, false, setting.at(i),
                             &setting.summary[i]);
        benchmark::ClobberMemory();
    }
    state.counters["bytes_per_lum"] = setting.bytes_per_lum();
    lum__page_kernel_force(nullptr);
}

void decode(benchmark::State &state, int workload, int level, bool to_rows)
{
    if (!use_level(state, level)) return;
    Setting setting(workload);
    Aligned<lum_t> back(kRows);
    Report report(state, kPages * kRows);
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPages; i++) {
            const lum__page_summary &page = setting.summary[i];
            uint32_t condition, at;
            lum_columns columns;
            bool is_good = to_rows ? lum__page_decode(setting.scratch.data, setting.at(i), page.byte_count, kRows,
                                                      page.lum_digest, back.data, &condition, &at)
                                   : lum__page_decode_columns(setting.scratch.data, setting.at(i), page.byte_count,
                                                              kRows, page.lum_digest, &columns, &condition, &at);
            if (!is_good) state.SkipWithError("a page did not decode");
        }
        benchmark::ClobberMemory();
    }
    lum__page_kernel_force(nullptr);
}

// Is the page valid? As recovery asks.
void check(benchmark::State &state, int workload, int level)
{
    if (!use_level(state, level)) return;
    Setting setting(workload);
    Report report(state, kPages * kRows);
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPages; i++) {
            const lum__page_summary &page = setting.summary[i];
            uint32_t condition, at;
            lum__range range;
            if (!lum__page_check(setting.scratch.data, setting.at(i), page.byte_count, kRows, page.lum_digest, &range,
                                 &condition, &at))
                state.SkipWithError("a page is not valid");
        }
        benchmark::ClobberMemory();
    }
    lum__page_kernel_force(nullptr);
}

// Rows to columns with the LUM checksums; and back.
void split(benchmark::State &state, int level)
{
    if (!use_level(state, level)) return;
    Setting setting(1);
    Report report(state, kPages * kRows);
    for (auto _ : state) {
        for (uint32_t i = 0; i < kPages; i++)
            benchmark::DoNotOptimize(
                lum__page_kernel_current()->split(setting.scratch.data, setting.rows.data + i * kRows, kRows, false));
        benchmark::ClobberMemory();
    }
    lum__page_kernel_force(nullptr);
}

void join(benchmark::State &state, int level)
{
    if (!use_level(state, level)) return;
    Setting setting(1);
    Report report(state, kRows);
    for (auto _ : state) {
        lum__page_kernel_current()->join(setting.scratch.data, setting.rows.data, kRows);
        benchmark::ClobberMemory();
    }
    lum__page_kernel_force(nullptr);
}

void checksum_one(benchmark::State &state)
{
    Setting setting(1);
    Report report(state, kRows);
    for (auto _ : state) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < kRows; i++) sum ^= lum_record_checksum(&setting.rows.data[i]);
        benchmark::DoNotOptimize(sum);
    }
}

void page_crc(benchmark::State &state, int workload)
{
    Setting setting(workload);
    Report report(state, kPages * kRows);
    for (auto _ : state)
        for (uint32_t i = 0; i < kPages; i++)
            benchmark::DoNotOptimize(lum__crc32c(0, setting.at(i), setting.summary[i].byte_count));
    state.SetBytesProcessed(
        static_cast<int64_t>(static_cast<double>(state.iterations()) * setting.bytes_per_lum() * kPages * kRows));
}

// One column of timestamps-like values (u64, steps of 1,000 and ten random bits) or of positions (i32, twelve random
// bits) in a given encoding. Constant and stride get values that they can hold.
void column(benchmark::State &state, uint8_t type, uint8_t encoding, bool is_decode)
{
    Aligned<lum__page_scratch> scratch(1);
    Aligned<uint64_t> wide(kRows + LUM__PAGE_SLACK), back(kRows + LUM__PAGE_SLACK);
    Aligned<uint8_t> out(LUM__PAGE_BYTES_MAX);
    auto *narrow = reinterpret_cast<uint32_t *>(wide.data);
    auto *bytes = reinterpret_cast<uint8_t *>(wide.data);
    uint64_t random = 1;
    for (uint32_t i = 0; i < kRows; i++) {
        uint64_t bits = lum__splitmix64(&random);
        bool is_exact = encoding == LUM__ENCODING_CONSTANT || encoding == LUM__ENCODING_STRIDE;
        uint64_t step = encoding == LUM__ENCODING_CONSTANT ? 0 : 1000;
        if (type == LUM__TYPE_U64) wide.data[i] = PAGE_ROWS_BASE_NS + i * step + (is_exact ? 0 : bits % 1024);
        if (type == LUM__TYPE_I32) narrow[i] = static_cast<uint32_t>(i * step + (is_exact ? 0 : bits % 4096));
        if (type == LUM__TYPE_U8) bytes[i] = is_exact ? 1 : bits % 6;
    }
    lum__page_descriptor descriptor = {};
    descriptor.type = type;
    const lum__page_kernel *kernel = lum__page_kernel_current();
    uint32_t lag = encoding == LUM__ENCODING_DELTA ? 1 : encoding == LUM__ENCODING_DELTA_HEAD ? 1000 : 0;
    if (!kernel->encode_column_as(scratch.data, wide.data, kRows, encoding, lag, out.data, &descriptor)) {
        state.SkipWithError("this encoding can't hold the values");
        return;
    }
    Report report(state, kRows);
    for (auto _ : state) {
        if (is_decode)
            benchmark::DoNotOptimize(kernel->decode_column(scratch.data, out.data, &descriptor, kRows, back.data));
        else
            benchmark::DoNotOptimize(
                kernel->encode_column_as(scratch.data, wide.data, kRows, encoding, lag, out.data, &descriptor));
        benchmark::ClobberMemory();
    }
    state.counters["bytes_per_lum"] = static_cast<double>(descriptor.byte_count) / kRows;
}

int register_all()
{
    for (int level = 0; level < 3; level++) {
        std::string of = std::string("/") + kLevels[level];
        benchmark::RegisterBenchmark(("page/split" + of).c_str(), split, level);
        benchmark::RegisterBenchmark(("page/join" + of).c_str(), join, level);
        for (int workload = 0; workload < 3; workload++) {
            std::string name = std::string("/") + kWorkloads[workload] + of;
            benchmark::RegisterBenchmark(("page/encode" + name).c_str(), encode, workload, level);
            benchmark::RegisterBenchmark(("page/decode_rows" + name).c_str(), decode, workload, level, true);
            benchmark::RegisterBenchmark(("page/decode_columns" + name).c_str(), decode, workload, level, false);
            benchmark::RegisterBenchmark(("page/check" + name).c_str(), check, workload, level);
        }
    }
    benchmark::RegisterBenchmark("record/checksum_one", checksum_one);
    for (int workload = 0; workload < 3; workload++)
        benchmark::RegisterBenchmark((std::string("page/crc/") + kWorkloads[workload]).c_str(), page_crc, workload);
    const uint8_t types[] = {LUM__TYPE_U64, LUM__TYPE_I32, LUM__TYPE_U8};
    const char *const type_names[] = {"u64", "i32", "u8"};
    for (int type = 0; type < 3; type++) {
        for (uint8_t encoding = 1; encoding <= LUM__ENCODING_LAST; encoding++) {
            bool is_possible = types[type] != LUM__TYPE_U8 || encoding == LUM__ENCODING_CONSTANT ||
                               encoding == LUM__ENCODING_PLAIN || encoding == LUM__ENCODING_FOR;
            if (!is_possible) continue;
            std::string name = std::string(type_names[type]) + "/" + lum__encoding_name(encoding);
            benchmark::RegisterBenchmark(("column/encode/" + name).c_str(), column, types[type], encoding, false);
            benchmark::RegisterBenchmark(("column/decode/" + name).c_str(), column, types[type], encoding, true);
        }
    }
    return 0;
}

const int registered = register_all();

} // namespace
