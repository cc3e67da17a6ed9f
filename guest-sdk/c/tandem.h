// Write a feature once, as a plain C function; run it offline and online. README.md is the tutorial.
//
/* A transform is a list of inputs, one of outputs, one of parameters, and a function:

    #define INPUTS(FIELD)                                           \
        FIELD(FLOAT64, amount, "Amount in the account's currency.") \
        FIELD(NULLABLE(STRING), merchant, "Merchant; unknown for some.")

    #define OUTPUTS(FIELD) FIELD(FLOAT64, log_amount, "ln(1 + amount).")

    TANDEM_TRANSFORM("Signals of a purchase.", INPUTS, OUTPUTS, TANDEM_NO_PARAMETERS)

    static const char *transform(const input *row, const settings *settings, output *features) {
        if (row->amount < 0) return "amount: must not be negative";
        features->log_amount = log1p(row->amount);
        return NULL;
    }
*/

#ifndef TANDEM_H
#define TANDEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Values

// UTF-8, not ended by a zero.
typedef struct {
    const char *data;
    size_t length; // bytes
} tandem_text;

typedef struct {
    const uint8_t *data;
    size_t length;
} tandem_bytes;

// Microseconds since 1970-01-01T00:00:00Z.
typedef struct {
    int64_t micros;
} tandem_timestamp;

typedef struct {
    const int64_t *items;
    size_t length;
} tandem_int64s;

typedef struct {
    const double *items;
    size_t length;
} tandem_float64s;

typedef struct {
    const tandem_text *items;
    size_t length;
} tandem_texts;

typedef struct {
    const tandem_timestamp *items;
    size_t length;
} tandem_timestamps;

// A day (UTC): astronomical year, month 1 to 12, day 1 to 31.
typedef struct {
    int64_t year;
    int32_t month;
    int32_t day;
} tandem_date;

// ---- Types of fields, and what they are in the structs of the everyday form

#define TANDEM_C_BOOLEAN bool
#define TANDEM_C_INT64 int64_t
#define TANDEM_C_FLOAT64 double
#define TANDEM_C_TIMESTAMP tandem_timestamp
#define TANDEM_C_STRING tandem_text
#define TANDEM_C_BINARY tandem_bytes
#define TANDEM_C_FLOAT32_VECTOR(width) \
    struct {                           \
        float values[width];           \
    }
#define TANDEM_C_INT64_SEQUENCE tandem_int64s
#define TANDEM_C_FLOAT64_SEQUENCE tandem_float64s
#define TANDEM_C_STRING_SEQUENCE tandem_texts
#define TANDEM_C_TIMESTAMP_SEQUENCE tandem_timestamps // parameters alone
#define TANDEM_C_NULLABLE(type)   \
    struct {                      \
        bool has_value;           \
        TANDEM_C_##type value;    \
    }

// ---- What they are in the columnar form: input columns

// One bit a row, least significant first; NULL if every row has a value. Under a null lies a zero, or nothing.
typedef struct {
    const uint8_t *values; // 0 or 1
    const uint8_t *validity;
} tandem_boolean_column;

typedef struct {
    const int64_t *values;
    const uint8_t *validity;
} tandem_int64_column;

typedef struct {
    const double *values;
    const uint8_t *validity;
} tandem_float64_column;

typedef struct {
    const tandem_timestamp *values;
    const uint8_t *validity;
} tandem_timestamp_column;

// Row i is the bytes from offsets[i] to offsets[i + 1] of data; `tandem_text_at` gives it.
typedef struct {
    const uint32_t *offsets;
    const char *data;
    const uint8_t *validity;
} tandem_string_column;

typedef struct {
    const uint32_t *offsets;
    const uint8_t *data;
    const uint8_t *validity;
} tandem_binary_column;

// Row i is values[i * width] to values[(i + 1) * width - 1].
typedef struct {
    const float *values;
    const uint8_t *validity;
} tandem_vector_column;

// Row i is the items from offsets[i] to offsets[i + 1].
typedef struct {
    const uint32_t *offsets;
    const int64_t *items;
    const uint8_t *validity;
} tandem_int64_sequence_column;

typedef struct {
    const uint32_t *offsets;
    const double *items;
    const uint8_t *validity;
} tandem_float64_sequence_column;

typedef struct {
    const uint32_t *offsets;
    tandem_string_column items;
    const uint8_t *validity;
} tandem_string_sequence_column;

#define TANDEM_I_BOOLEAN tandem_boolean_column
#define TANDEM_I_INT64 tandem_int64_column
#define TANDEM_I_FLOAT64 tandem_float64_column
#define TANDEM_I_TIMESTAMP tandem_timestamp_column
#define TANDEM_I_STRING tandem_string_column
#define TANDEM_I_BINARY tandem_binary_column
#define TANDEM_I_FLOAT32_VECTOR(width) tandem_vector_column
#define TANDEM_I_INT64_SEQUENCE tandem_int64_sequence_column
#define TANDEM_I_FLOAT64_SEQUENCE tandem_float64_sequence_column
#define TANDEM_I_STRING_SEQUENCE tandem_string_sequence_column
#define TANDEM_I_NULLABLE(type) TANDEM_I_##type

static inline bool tandem_is_valid(const uint8_t *validity, size_t row) {
    return validity == NULL || (validity[row >> 3] >> (row & 7) & 1) != 0;
}

static inline tandem_text tandem_text_at(tandem_string_column column, size_t row) {
    return (tandem_text){column.data + column.offsets[row], column.offsets[row + 1] - column.offsets[row]};
}

static inline tandem_bytes tandem_bytes_at(tandem_binary_column column, size_t row) {
    return (tandem_bytes){column.data + column.offsets[row], column.offsets[row + 1] - column.offsets[row]};
}

// ---- Output columns of the columnar form

// Values of all rows, all zero to begin with, and for nullable outputs a bit for each row, all set: `tandem_set_null` takes it away.
#define TANDEM_FIXED_OUTPUT(type) \
    struct {                      \
        type *values;             \
        uint8_t *validity;        \
    }

// A column whose rows are pushed one after another: exactly one push for each row.
typedef struct tandem_pushed tandem_pushed;

#define TANDEM_O_BOOLEAN TANDEM_FIXED_OUTPUT(uint8_t)
#define TANDEM_O_INT64 TANDEM_FIXED_OUTPUT(int64_t)
#define TANDEM_O_FLOAT64 TANDEM_FIXED_OUTPUT(double)
#define TANDEM_O_TIMESTAMP TANDEM_FIXED_OUTPUT(tandem_timestamp)
#define TANDEM_O_STRING tandem_pushed *
#define TANDEM_O_BINARY tandem_pushed *
#define TANDEM_O_FLOAT32_VECTOR(width) TANDEM_FIXED_OUTPUT(float)
#define TANDEM_O_INT64_SEQUENCE tandem_pushed *
#define TANDEM_O_FLOAT64_SEQUENCE tandem_pushed *
#define TANDEM_O_STRING_SEQUENCE tandem_pushed *
#define TANDEM_O_NULLABLE(type) TANDEM_O_##type

static inline void tandem_set_null(uint8_t *validity, size_t row) {
    validity[row >> 3] &= (uint8_t)~(1u << (row & 7));
}

void tandem_push_text(tandem_pushed *column, tandem_text text);
void tandem_push_bytes(tandem_pushed *column, tandem_bytes bytes);
void tandem_push_int64s(tandem_pushed *column, tandem_int64s items);
void tandem_push_float64s(tandem_pushed *column, tandem_float64s items);
void tandem_push_texts(tandem_pushed *column, tandem_texts items);
void tandem_push_null(tandem_pushed *column);

// The rows of a columnar call that have no value. What the columns hold in these rows does not count.
typedef struct tandem_failures tandem_failures;

// This row has failed, because of `message`. Of several reasons of one row the first counts.
void tandem_fail(tandem_failures *failures, size_t row, const char *message);

// ---- Messages, text and memory

// Longest message of a failed row or call, in bytes; what is longer is cut and ends in `…`.
#define TANDEM_MESSAGE_BYTES_MAX 1024

// Memory that lives as long as the call; never NULL, aligned for any value. What a row's strings and sequences point to may lie there.
void *tandem_allocate(size_t size);

// A text as by printf, ended by a zero, in such memory. `return tandem_format("amount: %g is too much", amount);`
const char *tandem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Fails the row with the file and the line if the condition does not hold: `TANDEM_REQUIRE(row->amount >= 0);`
#define TANDEM_REQUIRE(condition)                                                                    \
    do {                                                                                             \
        if (!(condition)) return tandem_format("%s:%d: required: %s", tandem_file_name(__FILE__), __LINE__, #condition); \
    } while (0)

// A path without its folders.
const char *tandem_file_name(const char *path);

// A string that is ended by a zero, as a text; and a text as such a string, in memory of the call.
tandem_text tandem_text_of(const char *string);
const char *tandem_string_of(tandem_text text);

bool tandem_text_is(tandem_text text, const char *string);
// Characters (code points) of a text.
int64_t tandem_characters(tandem_text text);
// The number that a text is, as a whole and without blanks; false if it is none.
bool tandem_parse_float64(tandem_text text, double *number);
bool tandem_parse_int64(tandem_text text, int64_t *number);

// ---- Instants, in UTC; everything rounds towards the past

int64_t tandem_seconds(tandem_timestamp instant); // since 1970
int64_t tandem_days(tandem_timestamp instant);    // since 1970-01-01
int64_t tandem_hour_of_day(tandem_timestamp instant);
int64_t tandem_minute_of_hour(tandem_timestamp instant);
int64_t tandem_day_of_week(tandem_timestamp instant); // 1 is Monday, 7 is Sunday
tandem_date tandem_date_of(tandem_timestamp instant);
// Whole seconds from `earlier` to `instant`, rounded down; negative if it is later.
int64_t tandem_seconds_since(tandem_timestamp instant, tandem_timestamp earlier);

// ---- A transform

// What the macros below make; nothing for authors.
typedef enum {
    TANDEM_BOOLEAN,
    TANDEM_INT64,
    TANDEM_FLOAT64,
    TANDEM_TIMESTAMP,
    TANDEM_STRING,
    TANDEM_BINARY,
    TANDEM_FLOAT32_VECTOR,
    TANDEM_INT64_SEQUENCE,
    TANDEM_FLOAT64_SEQUENCE,
    TANDEM_STRING_SEQUENCE,
    TANDEM_TIMESTAMP_SEQUENCE,
} tandem_type;

typedef struct {
    const char *name; // NULL behind the last field
    const char *doc;
    size_t offset; // in the struct of the form
    tandem_type type;
    uint32_t width; // of vectors
    bool nullable;
} tandem_field;

typedef struct {
    const char *doc;
    const tandem_field *inputs;
    const tandem_field *outputs;
    const tandem_field *parameters;
    size_t input_size;
    size_t output_size;
    size_t settings_size;
    // One of the two.
    const char *(*row)(const void *row, const void *settings, void *output);
    const char *(*columns)(size_t rows, const void *columns, const void *settings, void *outputs, tandem_failures *failures);
} tandem_transform;

#define TANDEM_D_BOOLEAN .type = TANDEM_BOOLEAN
#define TANDEM_D_INT64 .type = TANDEM_INT64
#define TANDEM_D_FLOAT64 .type = TANDEM_FLOAT64
#define TANDEM_D_TIMESTAMP .type = TANDEM_TIMESTAMP
#define TANDEM_D_STRING .type = TANDEM_STRING
#define TANDEM_D_BINARY .type = TANDEM_BINARY
#define TANDEM_D_FLOAT32_VECTOR(vector_width) .type = TANDEM_FLOAT32_VECTOR, .width = vector_width
#define TANDEM_D_INT64_SEQUENCE .type = TANDEM_INT64_SEQUENCE
#define TANDEM_D_FLOAT64_SEQUENCE .type = TANDEM_FLOAT64_SEQUENCE
#define TANDEM_D_STRING_SEQUENCE .type = TANDEM_STRING_SEQUENCE
#define TANDEM_D_TIMESTAMP_SEQUENCE .type = TANDEM_TIMESTAMP_SEQUENCE
#define TANDEM_D_NULLABLE(of_type) TANDEM_D_##of_type, .nullable = true

#define TANDEM_VALUE(of_type, field, text) TANDEM_C_##of_type field;
#define TANDEM_INPUT_COLUMN(of_type, field, text) TANDEM_I_##of_type field;
#define TANDEM_OUTPUT_COLUMN(of_type, field, text) TANDEM_O_##of_type field;
#define TANDEM_FIELD_IN(of_struct, of_type, field, text) \
    {.name = #field, .doc = text, .offset = offsetof(of_struct, field), TANDEM_D_##of_type},
#define TANDEM_INPUT_FIELD(of_type, field, text) TANDEM_FIELD_IN(input, of_type, field, text)
#define TANDEM_OUTPUT_FIELD(of_type, field, text) TANDEM_FIELD_IN(output, of_type, field, text)
#define TANDEM_PARAMETER_FIELD(of_type, field, text) TANDEM_FIELD_IN(settings, of_type, field, text)

// The list of parameters of a transform that has none.
#define TANDEM_NO_PARAMETERS(FIELD)

#define TANDEM_PARTS(text, INPUTS, OUTPUTS, PARAMETERS, row_function, columns_function)              \
    static const tandem_field tandem_inputs[] = {INPUTS(TANDEM_INPUT_FIELD){.name = NULL}};          \
    static const tandem_field tandem_outputs[] = {OUTPUTS(TANDEM_OUTPUT_FIELD){.name = NULL}};       \
    static const tandem_field tandem_parameters[] = {PARAMETERS(TANDEM_PARAMETER_FIELD){.name = NULL}}; \
    const tandem_transform tandem_the_transform = {                                                  \
        .doc = text,                                                                                 \
        .inputs = tandem_inputs,                                                                     \
        .outputs = tandem_outputs,                                                                   \
        .parameters = tandem_parameters,                                                             \
        .input_size = sizeof(input),                                                                 \
        .output_size = sizeof(output),                                                               \
        .settings_size = sizeof(settings),                                                           \
        .row = row_function,                                                                         \
        .columns = columns_function,                                                                 \
    };

// The everyday form: structs `input`, `output` and `settings` with a member for each field, and the function `transform`, which is
// called for each row with an output of zeros and nulls. It returns NULL, or why the row has no value.
#define TANDEM_TRANSFORM(text, INPUTS, OUTPUTS, PARAMETERS)                                          \
    typedef struct {                                                                                 \
        INPUTS(TANDEM_VALUE)                                                                         \
    } input;                                                                                         \
    typedef struct {                                                                                 \
        OUTPUTS(TANDEM_VALUE)                                                                        \
    } output;                                                                                        \
    typedef struct {                                                                                 \
        PARAMETERS(TANDEM_VALUE)                                                                     \
        char tandem_unused;                                                                          \
    } settings;                                                                                      \
    static const char *transform(const input *row, const settings *settings, output *features);      \
    static const char *tandem_row(const void *row, const void *settings, void *output) {             \
        return transform(row, settings, output);                                                     \
    }                                                                                                \
    TANDEM_PARTS(text, INPUTS, OUTPUTS, PARAMETERS, tandem_row, NULL)

// The columnar form: structs with a column for each field, and the function `transform`, which is called with all rows of a call. It
// returns NULL, or why the whole call has no result. The result of row i must depend on row i and the settings alone.
#define TANDEM_COLUMNS(text, INPUTS, OUTPUTS, PARAMETERS)                                            \
    typedef struct {                                                                                 \
        INPUTS(TANDEM_INPUT_COLUMN)                                                                  \
    } input;                                                                                         \
    typedef struct {                                                                                 \
        OUTPUTS(TANDEM_OUTPUT_COLUMN)                                                                \
    } output;                                                                                        \
    typedef struct {                                                                                 \
        PARAMETERS(TANDEM_VALUE)                                                                     \
        char tandem_unused;                                                                          \
    } settings;                                                                                      \
    static const char *transform(size_t rows, const input *columns, const settings *settings, output *features, \
                                 tandem_failures *failures);                                         \
    static const char *tandem_columns(size_t rows, const void *columns, const void *settings, void *output, \
                                      tandem_failures *failures) {                                   \
        return transform(rows, columns, settings, output, failures);                                 \
    }                                                                                                \
    TANDEM_PARTS(text, INPUTS, OUTPUTS, PARAMETERS, NULL, tandem_columns)

#ifdef __cplusplus
}
#endif

#endif
