/* CSV: finding rows, parsing them, writing them. Rates are bytes of CSV text on one thread.
 *
 *   scan      row boundaries only: what open_piece() does under the load's lock
 *   index     delimiters and row ends, with quotes resolved: the first half of filling a page
 *   six       the six columns of `lum scan --format csv`, all parsed
 *   bad       the same with one bad row in a hundred, told to a sink that copies the row
 *   cities    ten columns, half of them quoted text that nobody asked for; degrees scaled by 1e7 and an ISO date
 *   write     six columns */
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "base/random.h"
#include "formats/csv.h"
#include "formats/csv_source.h"
#include "formats/text_kernel.h"
}

namespace {

constexpr uint64_t row_count = 200000;

std::vector<lum_t> make_rows()
{
    std::vector<lum_t> rows(row_count);
    uint64_t seed = 1;
    for (uint64_t i = 0; i < row_count; ++i) {
        uint64_t random = lum__splitmix64(&seed);
        rows[i] = lum_t();
        rows[i].id = i + 1;
        rows[i].presence = 1;
        rows[i].position_x = static_cast<int32_t>(random % 2000000) - 1000000;
        rows[i].position_y = static_cast<int32_t>(random >> 32) % 1000000;
        rows[i].structure_type = static_cast<uint8_t>(random % 6);
        rows[i].timestamp = UINT64_C(1700000000000000000) + random % 1000000000000;
    }
    return rows;
}

const lum__field six_fields[] = {LUM__FIELD_ID,         LUM__FIELD_PRESENCE,       LUM__FIELD_POSITION_X,
                                 LUM__FIELD_POSITION_Y, LUM__FIELD_STRUCTURE_TYPE, LUM__FIELD_TIMESTAMP};

std::string six_text()
{
    const std::vector<lum_t> rows = make_rows();
    std::string text(LUM__CSV_HEADER_BYTES_MAX + rows.size() * LUM__CSV_ROW_BYTES_MAX, '\0');
    auto *out = reinterpret_cast<uint8_t *>(&text[0]);
    size_t length = lum__csv_write_header(out, ',', six_fields, 6);
    length += lum__csv_write_rows(out + length, ',', six_fields, 6, rows.data(), rows.size());
    text.resize(length);
    return text;
}

std::string cities_text()
{
    std::string text = "geonameid,name,alternatenames,latitude,longitude,feature_code,country,population,timezone,modified\n";
    uint64_t seed = 2;
    char row[256];
    for (uint64_t i = 0; i < row_count; ++i) {
        uint64_t random = lum__splitmix64(&seed);
        std::snprintf(row, sizeof row,
                      "%llu,Some Town,\"Sum Tun,\xd0\xa1\xd0\xbe\xd0\xbc\",%d.%05d,%d.%05d,PPL,AD,%u,Europe/Andorra,%04u-%02u-%02u\n",
                      static_cast<unsigned long long>(3000000 + i), static_cast<int>(random % 180) - 90,
                      static_cast<int>(random >> 20) % 100000 & 0xffff, static_cast<int>(random >> 8 & 0xff) - 128,
                      static_cast<int>(random >> 44) & 0xffff, static_cast<unsigned>(random >> 40) % 100000,
                      2000 + static_cast<unsigned>(random % 25), 1 + static_cast<unsigned>(random % 12),
                      1 + static_cast<unsigned>(random % 28));
        text += row;
    }
    return text;
}

struct stream {
    const std::string *text;
    size_t at;
};

lum_status read_text(void *context, uint8_t *out, size_t bytes_max, size_t *bytes)
{
    auto *from = static_cast<stream *>(context);
    *bytes = std::min(bytes_max, from->text->size() - from->at);
    std::memcpy(out, from->text->data() + from->at, *bytes);
    from->at += *bytes;
    return LUM_OK;
}

void report(benchmark::State &state, size_t bytes)
{
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * row_count));
}

lum_status take_reject(void *context, uint32_t, const lum__rejected_row *row)
{
    auto *out = static_cast<std::string *>(context);
    if (out->size() > 1 << 20) out->clear();
    out->append(reinterpret_cast<const char *>(row->bytes), row->byte_count);
    out->append(row->quoted_reason, row->quoted_reason_length);
    return LUM_OK;
}

void load_text(benchmark::State &state, const std::string &text, const char *map, uint64_t bad_count = 0)
{
    std::string rejects;
    const lum__reject_sink sink = {&rejects, take_reject};
    lum_columns columns;
    for (auto _ : state) {
        stream from = {&text, 0};
        lum__mapping mapping = {};
        lum__row_options options = {};
        lum__input_bytes input = {};
        input.name = "bench";
        input.read = read_text;
        input.read_context = &from;
        input.fd = -1;
        lum__row_source *csv;
        lum_piece piece;
        uint64_t total = 0;
        options.mapping = &mapping;
        options.rejects = &sink;
        if ((map != nullptr && lum__mapping_add(&mapping, map) != LUM_OK) ||
            lum__csv_open(&input, &options, &csv) != LUM_OK) {
            state.SkipWithError("cannot open");
            return;
        }
        const lum_source *source = &csv->source;
        while (source->open_piece(source->context, 0, 262144, &piece) == LUM_OK) {
            size_t got = 1;
            while (got > 0 && source->fill_columns(source->context, 0, 4096, &columns, &got) == LUM_OK) total += got;
        }
        if (total + bad_count != row_count) state.SkipWithError("rows were lost");
        csv->close(csv);
        lum__mapping_destroy(&mapping);
    }
    report(state, text.size());
}

/* Delimiters and row ends, quotes resolved: the first half of filling a page. */
void csv_index(benchmark::State &state)
{
    const std::string text = state.range(0) == 6 ? six_text() : cities_text();
    std::string padded(64 + text.size() + 64, ' ');
    std::memcpy(&padded[64], text.data(), text.size());
    auto index = std::make_unique<lum__csv_index>();
    const auto *begin = reinterpret_cast<const uint8_t *>(padded.data() + 64), *end = begin + text.size();
    for (auto _ : state) {
        uint64_t rows = 0;
        for (const uint8_t *at = begin; at < end;) {
            lum__text_kernel_current()->csv_index(index.get(), ',', at, end);
            rows += index->row_count;
            at += lum__csv_index_skip_empty(index.get(), index->row_ends[index->row_count - 1]);
        }
        if (rows != row_count + 1) state.SkipWithError("rows were lost");
    }
    report(state, text.size());
}
BENCHMARK(csv_index)->ArgName("columns")->Arg(6)->Arg(10);

void csv_scan(benchmark::State &state)
{
    const std::string text = state.range(0) == 6 ? six_text() : cities_text();
    for (auto _ : state) {
        lum__row_scanner scanner = {};
        scanner.delimiter = ',';
        lum__csv_scan(&scanner, reinterpret_cast<const uint8_t *>(text.data()), text.size(), UINT64_MAX);
        benchmark::DoNotOptimize(scanner.rows);
    }
    report(state, text.size());
}
BENCHMARK(csv_scan)->ArgName("columns")->Arg(6)->Arg(10);

void csv_parse_six(benchmark::State &state) { load_text(state, six_text(), nullptr); }
BENCHMARK(csv_parse_six);

/* One row of a hundred, at random, is bad in one of the six ways of bench/load_rejects. */
std::string spoil(const std::string &text, uint64_t *bad_count)
{
    uint64_t seed = 1;
    std::string out = text.substr(0, text.find('\n') + 1);
    for (size_t at = out.size(), end; at < text.size(); at = end) {
        end = text.find('\n', at) + 1;
        if (lum__splitmix64(&seed) % 100 != 0) {
            out.append(text, at, end - at);
            continue;
        }
        std::vector<std::string> fields(1);
        for (size_t i = at; i < end - 1; ++i) {
            if (text[i] == ',')
                fields.emplace_back();
            else
                fields.back() += text[i];
        }
        switch (lum__splitmix64(&seed) % 6) {
        case 0: fields[2][0] = 'q'; break;
        case 1: fields[1] = "256"; break;
        case 2: fields[3] += ".5"; break;
        case 3: fields[4].clear(); break;
        case 4: fields.pop_back(); break;
        default: fields.emplace_back("7"); break;
        }
        for (size_t i = 0; i < fields.size(); ++i) out += (i > 0 ? "," : "") + fields[i];
        out += '\n';
        ++*bad_count;
    }
    return out;
}

void csv_parse_bad(benchmark::State &state)
{
    uint64_t bad_count = 0;
    const std::string text = spoil(six_text(), &bad_count);
    load_text(state, text, nullptr, bad_count);
}
BENCHMARK(csv_parse_bad);

void csv_parse_cities(benchmark::State &state)
{
    load_text(state, cities_text(),
              "id=geonameid,position_x=longitude*1e7,position_y=latitude*1e7,timestamp=modified,memory_address=population");
}
BENCHMARK(csv_parse_cities);

void csv_write_six(benchmark::State &state)
{
    const std::vector<lum_t> rows = make_rows();
    std::vector<uint8_t> out(rows.size() * LUM__CSV_ROW_BYTES_MAX);
    size_t length = 0;
    for (auto _ : state) {
        length = lum__csv_write_rows(out.data(), ',', six_fields, 6, rows.data(), rows.size());
        benchmark::DoNotOptimize(out.data());
    }
    report(state, length);
}
BENCHMARK(csv_write_six);

} // namespace
