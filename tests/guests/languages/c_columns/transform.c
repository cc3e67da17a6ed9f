// Gives what it takes: every type, nullable and not, column by column.

#include <string.h>

#include "tandem.h"

#define FIELDS(FIELD)                         \
    FIELD(BOOLEAN, b, "")                     \
    FIELD(INT64, i, "")                       \
    FIELD(FLOAT64, x, "")                     \
    FIELD(TIMESTAMP, t, "")                   \
    FIELD(STRING, s, "")                      \
    FIELD(BINARY, y, "")                      \
    FIELD(FLOAT32_VECTOR(2), v, "")           \
    FIELD(INT64_SEQUENCE, p, "")              \
    FIELD(FLOAT64_SEQUENCE, q, "")            \
    FIELD(STRING_SEQUENCE, w, "")             \
    FIELD(NULLABLE(BOOLEAN), bn, "")          \
    FIELD(NULLABLE(FLOAT64), xn, "")          \
    FIELD(NULLABLE(STRING), sn, "")           \
    FIELD(NULLABLE(FLOAT32_VECTOR(2)), vn, "") \
    FIELD(NULLABLE(STRING_SEQUENCE), wn, "")

TANDEM_COLUMNS("Gives what it takes.", FIELDS, FIELDS, TANDEM_NO_PARAMETERS)

static const char *transform(size_t rows, const input *in, const settings *settings, output *out, tandem_failures *failures) {
    (void)settings, (void)failures;
    for (size_t row = 0; row < rows; row++) {
        out->b.values[row] = in->b.values[row];
        out->i.values[row] = in->i.values[row];
        out->x.values[row] = in->x.values[row];
        out->t.values[row] = in->t.values[row];
        tandem_push_text(out->s, tandem_text_at(in->s, row));
        tandem_push_bytes(out->y, tandem_bytes_at(in->y, row));
        memcpy(out->v.values + 2 * row, in->v.values + 2 * row, 2 * sizeof(float));
        const uint32_t *ends = in->p.offsets + row;
        tandem_push_int64s(out->p, (tandem_int64s){in->p.items + ends[0], ends[1] - ends[0]});
        ends = in->q.offsets + row;
        tandem_push_float64s(out->q, (tandem_float64s){in->q.items + ends[0], ends[1] - ends[0]});
        tandem_text texts[16];
        tandem_texts list = {texts, 0};
        for (uint32_t i = in->w.offsets[row]; i < in->w.offsets[row + 1] && list.length < 16; i++) texts[list.length++] = tandem_text_at(in->w.items, i);
        tandem_push_texts(out->w, list);
        // What lies under a null is zeroed by the SDK: here it is not zero.
        out->bn.values[row] = tandem_is_valid(in->bn.validity, row) ? in->bn.values[row] : 1;
        if (!tandem_is_valid(in->bn.validity, row)) tandem_set_null(out->bn.validity, row);
        out->xn.values[row] = tandem_is_valid(in->xn.validity, row) ? in->xn.values[row] : 7;
        if (!tandem_is_valid(in->xn.validity, row)) tandem_set_null(out->xn.validity, row);
        if (tandem_is_valid(in->sn.validity, row)) tandem_push_text(out->sn, tandem_text_at(in->sn, row));
        else tandem_push_null(out->sn);
        memcpy(out->vn.values + 2 * row, in->vn.values + 2 * row, 2 * sizeof(float));
        if (!tandem_is_valid(in->vn.validity, row)) tandem_set_null(out->vn.validity, row);
        list.length = 0;
        for (uint32_t i = in->wn.offsets[row]; i < in->wn.offsets[row + 1] && list.length < 16; i++) texts[list.length++] = tandem_text_at(in->wn.items, i);
        if (tandem_is_valid(in->wn.validity, row)) tandem_push_texts(out->wn, list);
        else tandem_push_null(out->wn);
    }
    return NULL;
}
