/* pipeline/producer.h - one producer: fills chunks from pieces, writes them, and hands their entries over. The loader's own. */
#ifndef LUM_PIPELINE_PRODUCER_H
#define LUM_PIPELINE_PRODUCER_H

#include "pipeline/loader.h"

enum { LUM__PRODUCER_CHUNKS_IN_FLIGHT = 4, LUM__PRODUCER_REQUEST_BYTES = 1 << 20, LUM__PRODUCER_QUEUE_DEPTH = 64 };

struct lum__load_transaction;

/* A chunk whose write is in flight. Its buffer belongs to the io queue until every request of it is reaped. */
struct lum__chunk_in_flight {
    uint8_t *buffer; /* NULL: this slot is free */
    struct lum__load_transaction *transaction;
    struct lum__chunk_entry entry;
    uint32_t requests_left;
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
    struct lum__chunk_in_flight in_flight[LUM__PRODUCER_CHUNKS_IN_FLIGHT];
    uint32_t requests_in_flight;
    uint64_t rows_filled;  /* rows taken from the source */
    uint64_t bytes_written;
    uint64_t chunk_count;
    uint64_t write_wait_ns;
    /* called before a chunk's write is submitted; on_chunk follows in any case */
    void (*on_submit)(void *loader, struct lum__load_transaction *transaction);
    /* called when a chunk is on disk (status LUM_OK) or failed; in the producer's thread */
    void (*on_chunk)(void *loader, struct lum__producer *producer, struct lum__chunk_in_flight *chunk);
    /* called between pages; not LUM_OK stops the producer */
    lum_status (*on_page)(void *loader, struct lum__producer *producer);
    void *loader;
};

LUM_MUST_USE lum_status lum__producer_init(struct lum__producer *producer);
/* Turns one piece into chunks and submits their writes. *rows: what the piece held. On a failure, writes may still be in flight. */
LUM_MUST_USE lum_status lum__producer_run_piece(struct lum__producer *producer, struct lum__load_transaction *transaction,
                                                uint64_t transaction_id, uint64_t piece_index, const lum_piece *piece, uint64_t *rows);
/* Reaps finished writes (all: waits for every one). */
LUM_MUST_USE lum_status lum__producer_reap(struct lum__producer *producer, bool all);
/* Reaps everything, then frees. */
void lum__producer_fini(struct lum__producer *producer);

#endif
