// Does what authors should not, by the row.

#include <assert.h>
#include <stdlib.h>

#include "tandem.h"

#define INPUTS(FIELD) FIELD(STRING, how, "") FIELD(INT64, n, "")
#define OUTPUTS(FIELD) FIELD(INT64, y, "")
#define PARAMETERS(FIELD) FIELD(NULLABLE(FLOAT64), least, "Least value.")

TANDEM_TRANSFORM("", INPUTS, OUTPUTS, PARAMETERS)

static const char *transform(const input *row, const settings *settings, output *features) {
    (void)settings;
    if (tandem_text_is(row->how, "fails")) return "how: must not be so";
    if (tandem_text_is(row->how, "format")) return tandem_format("n: %lld is too much", (long long)row->n);
    if (tandem_text_is(row->how, "no text")) return "not \xff UTF-8";
    if (tandem_text_is(row->how, "abort")) abort();
    TANDEM_REQUIRE(row->n > 0);
    assert(row->n < 100);
    features->y = 1000 / (row->n - 50);
    return NULL;
}
