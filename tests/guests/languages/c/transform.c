// Gives what it takes: every type, nullable and not, row by row.

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

TANDEM_TRANSFORM("Gives what it takes.", FIELDS, FIELDS, TANDEM_NO_PARAMETERS)

static const char *transform(const input *row, const settings *settings, output *features) {
    (void)settings;
    _Static_assert(sizeof(input) == sizeof(output), "the same fields");
    memcpy(features, row, sizeof *features);
    return NULL;
}
