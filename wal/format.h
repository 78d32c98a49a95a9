/* wal/format.h - the bytes of the log (docs/format.md section 3): constants and structs, nothing else. */
#ifndef LUM_WAL_FORMAT_H
#define LUM_WAL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lum/status.h"
#include "storage/chunk.h"
#include "storage/metadata.h"

enum {
    LUM__WAL_RECORD_HEADER_BYTES = 96,
    LUM__WAL_BATCH_ALIGNMENT = 4096,
    LUM__WAL_FLAG_LAST_OF_BATCH = 1,
    LUM__WAL_LABEL_BYTES_MAX = 255,
    LUM__WAL_COMMIT_BYTES = 40,
    LUM__WAL_SEAL_BYTES = 16,
    LUM__WAL_CHECKPOINT_BYTES = 24,
    LUM__WAL_PAGES_BYTES = 16, /* before the rows of a pages record */
    LUM__WAL_PAGES_ROWS_MAX = 16384,
    LUM__WAL_PAYLOAD_BYTES_MAX = 1 << 21,
    LUM__WAL_SEGMENT_BYTES_MIN = 16384, /* header, two batches of a block, room for the seal */
    LUM__WAL_SEGMENT_BYTES_MAX = 1 << 30,
};

/* On disk, never renumber. */
enum lum__wal_type {
    LUM__WAL_BEGIN = 1,
    LUM__WAL_PAGES = 2,
    LUM__WAL_CHUNK = 3,
    LUM__WAL_COMMIT = 4,
    LUM__WAL_ROLLBACK = 5,
    LUM__WAL_WATERMARK = 6,
    LUM__WAL_SEAL = 7,
    LUM__WAL_CHECKPOINT = 8,
};

/* On disk, never renumber. */
enum lum__wal_origin { LUM__WAL_ORIGIN_FIRST = 1, LUM__WAL_ORIGIN_ROTATION = 2, LUM__WAL_ORIGIN_RECOVERY = 3 };

/* A log segment's header, decoded. */
struct lum__wal_segment {
    uint8_t store_id[16];
    uint64_t number;
    uint64_t epoch;
    uint64_t timestamp;
    uint32_t salt;
    enum lum__wal_origin origin;
    uint64_t first_sequence;
    uint64_t previous_number;
    uint64_t previous_end_offset;
    uint64_t previous_sequence;
    uint32_t previous_header_crc;
    uint64_t segment_bytes;
    uint64_t features_read_only; /* unknown ones: not 0 means that this version must not write here */
};

/* A log record, decoded. What the type does not have is zero. */
struct lum__wal_record {
    enum lum__wal_type type;
    uint64_t sequence;
    uint64_t transaction_id;
    uint64_t timestamp;
    uint64_t count;
    uint64_t watermark;
    uint32_t payload_bytes;
    uint32_t header_crc;
    bool is_last_of_batch;
    uint64_t segment; /* where it lies */
    uint64_t offset;
    union {
        struct lum__chunk_entry chunk;
        struct {
            const void *rows; /* 40 bytes each; of a record that was read: lent as the bytes it was read from */
            uint32_t row_count;
            uint32_t digest;
        } pages;
        struct {
            uint64_t chunk_count;
            uint64_t lum_count;
            uint32_t digest;
            bool data_synced;
            uint8_t label_bytes;
            char label[LUM__WAL_LABEL_BYTES_MAX + 1];
            struct lum__metadata metadata; /* of a record that was read: lent as the bytes it was read from */
        } commit;
        struct {
            uint64_t successor;
            uint32_t successor_salt;
        } seal;
        struct {
            uint64_t number;
            uint64_t covered_sequence;
            uint32_t body_crc;
        } checkpoint;
    };
};

/* Header block of a segment to and from bytes; format.md section 1, conditions 1-6, and section 3, 7-9. store_id
 * NULL: any store; number 0: any number. file is for messages. LUM_ERR_CORRUPT, LUM_ERR_UNSUPPORTED,
 * LUM_ERR_FOREIGN. */
void lum__wal_segment_encode(const struct lum__wal_segment *segment, uint8_t block[4096]);
LUM_MUST_USE lum_status lum__wal_segment_decode(const uint8_t block[4096], const uint8_t *store_id, uint64_t number,
                                                const char *file, struct lum__wal_segment *out);

/* Bytes of a record in a batch: header + payload, padded to 8. */
uint32_t lum__wal_record_bytes(const struct lum__wal_record *record);
/* Encodes for the place given in record->segment/offset under that segment's salt; sets payload_bytes and header_crc.
 * Returns the bytes written. */
uint32_t lum__wal_record_encode(struct lum__wal_record *record, const uint8_t store_id[16], uint32_t salt,
                                uint8_t *out);
/* Sets the flag "last of its batch" in an encoded record and returns its new header CRC. */
uint32_t lum__wal_record_mark_last(uint8_t *bytes, const uint8_t store_id[16]);

/* What the record check says of bytes at an offset. */
enum lum__wal_look {
    LUM__WAL_VALID,
    LUM__WAL_BLANK, /* the whole 4 KiB block there is zero (never written) */
    LUM__WAL_STALE, /* header of a record for another segment, offset or salt: left from an earlier use of the file */
    LUM__WAL_BAD,   /* not a valid record */
    LUM__WAL_UNSUPPORTED /* CRC right, number unknown */
};
/* Conditions 1-4, 6, 7, 9, 10 (format.md 3.1; 5 and 8, the order among records, are the reader's to check): bytes
 * from `offset` of the segment on, byte_count of them available. *condition: the first that fails, 0 if valid or
 * blank. *out holds the header's fields if the header was readable (VALID, STALE, and BAD from condition 6 on), else
 * zeros. */
enum lum__wal_look lum__wal_record_check(const uint8_t *bytes, uint64_t byte_count,
                                         const struct lum__wal_segment *segment, uint64_t offset,
                                         struct lum__wal_record *out, uint32_t *condition);
/* Where the record behind this one begins: the next multiple of 8 within a batch, of 4,096 behind its last. */
uint64_t lum__wal_record_end(const struct lum__wal_record *record);

const char *lum__wal_type_name(enum lum__wal_type type);
/* "wal/N.wal", and back: the N of a file name "N.wal", 0 if it is not one. */
void lum__wal_path(uint64_t segment, char out[64]);
uint64_t lum__wal_name_number(const char *name);

#endif
