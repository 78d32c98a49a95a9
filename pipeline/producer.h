/* pipeline/producer.h - one producer: fills chunks from pieces, writes them, and hands their entries over. The loader's own. */
#ifndef LUM_PIPELINE_PRODUCER_H
#define LUM_PIPELINE_PRODUCER_H

#include "pipeline/loader.h"
#include "storage/chunk.h"

enum {
    LUM__PRODUCER_WRITES_IN_FLIGHT = 4,
    LUM__PRODUCER_REQUEST_BYTES = 1 << 20,
    LUM__PRODUCER_QUEUE_DEPTH = 64,
    LUM__PRODUCER_GATHERED_BYTES = 1 << 20, /* small chunks are gathered up to here */
    LUM__PRODUCER_GATHERED_MAX = 64,
};

struct lum__load_transaction;

struct lum__written_chunk {
    struct lum__load_transaction *transaction;
    uint64_t transaction_id;
    uint64_t ordinal;
    struct lum__chunk_builder builder;
    struct lum__chunk_entry entry; /* from the moment its place is known: byte_count 0 before */
};

/* Chunks that lie one behind the other in one buffer, and soon on disk. */
struct lum__chunk_write {
    uint8_t *buffer; /* NULL: this slot is free. The io queue's while requests_left > 0 */
    uint32_t byte_count;
    uint32_t chunk_count;
    struct lum__written_chunk chunks[LUM__PRODUCER_GATHERED_MAX];
    uint32_t requests_left; /* 0: still gathering */
    lum_status status;
    struct lum__error error;
};

struct lum__producer {
    const struct lum__load_context *context;
    const lum_source *source;
    uint32_t worker;
    struct lum__io_queue *queue;
    struct lum__page_scratch *scratch;
    lum_t *rows;
    struct lum__chunk_write *writes;    /* one more than may be in flight */
    struct lum__chunk_write *gathering; /* one of them that was not submitted yet; NULL for none */
    uint32_t writes_in_flight, requests_in_flight;
    uint64_t rows_filled;  /* rows taken from the source */
    uint64_t bytes_written;
    uint64_t chunk_count;
    uint64_t write_wait_ns;
    /* called when a chunk was built; on_chunk follows in any case */
    void (*on_built)(void *loader, struct lum__load_transaction *transaction);
    /* called when a chunk is on disk (status LUM_OK) or failed (the thread's error says why); in the producer's thread */
    void (*on_chunk)(void *loader, const struct lum__written_chunk *chunk, lum_status status);
    /* called between pages; not LUM_OK stops the producer */
    lum_status (*on_page)(void *loader, struct lum__producer *producer);
    void *loader;
};

LUM_MUST_USE lum_status lum__producer_init(struct lum__producer *producer);
/* Turns one piece, of at most rows_max rows, into chunks and submits their writes; small ones may be left to be gathered. *rows: what the piece
 * held. On a failure, writes may still be in flight. */
LUM_MUST_USE lum_status lum__producer_run_piece(struct lum__producer *producer, struct lum__load_transaction *transaction,
                                                uint64_t transaction_id, uint64_t piece_index, const lum_piece *piece, uint64_t rows_max,
                                                uint64_t *rows);
/* Reaps finished writes (all: submits what was gathered, and waits for every one). */
LUM_MUST_USE lum_status lum__producer_reap(struct lum__producer *producer, bool all);
/* Reaps everything, then frees. */
void lum__producer_fini(struct lum__producer *producer);

#endif
