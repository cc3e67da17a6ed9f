// Between the contract's functions and an author's: columns to structs and back, parameters, failures, memory.

#include "tandem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"

typedef tandem_feature_columns_column_t column_t;
typedef tandem_feature_columns_var_bytes_t var_bytes_t;
typedef tandem_feature_signatures_field_t field_t;
typedef tandem_feature_signatures_list_field_t field_list_t;
typedef tandem_feature_signatures_parameter_t parameter_t;
typedef tandem_feature_outcomes_row_failure_t row_failure_t;

extern const tandem_transform tandem_the_transform;

// The contract's types are put into the component by `tandem build`, and not by an object file; the generated code asks for that one.
void __component_type_object_force_link_contract(void) {}

#ifdef __wasm__
// assert() would write to a stream, and a component has none: it ends as a trap, which TANDEM_REQUIRE does not. `tandem build` has it call this.
_Noreturn void tandem_assert_fail(const char *condition, const char *file, int line, const char *function) {
    (void)condition, (void)file, (void)line, (void)function;
    __builtin_trap();
}
#endif

// ---- Memory. What crosses the boundary is of malloc: the generated code frees it. The rest lives in blocks until the call ends.

typedef struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
} block;

static block *blocks = NULL;

static void *of_malloc(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / 2 / size) abort();
    void *memory = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
    if (memory == NULL) abort();
    return memory;
}

void *tandem_allocate(size_t size) {
    if (size > SIZE_MAX / 4) abort();
    size = (size + 15) & ~(size_t)15;
    if (blocks == NULL || blocks->size - blocks->used < size) {
        size_t of_block = size > 65536 ? size : 65536;
        block *fresh = malloc(sizeof(block) + of_block);
        if (fresh == NULL) abort();
        *fresh = (block){.next = blocks, .used = 0, .size = of_block};
        blocks = fresh;
    }
    void *memory = blocks->bytes + blocks->used;
    blocks->used += size;
    return memory;
}

static void forget_blocks(void) {
    while (blocks != NULL) {
        block *next = blocks->next;
        free(blocks);
        blocks = next;
    }
}

// ---- Text

tandem_text tandem_text_of(const char *string) { return (tandem_text){string, strlen(string)}; }

const char *tandem_string_of(tandem_text text) {
    char *string = tandem_allocate(text.length + 1);
    if (text.length > 0) memcpy(string, text.data, text.length);
    string[text.length] = '\0';
    return string;
}

bool tandem_text_is(tandem_text text, const char *string) {
    return strlen(string) == text.length && memcmp(text.data, string, text.length) == 0;
}

int64_t tandem_characters(tandem_text text) {
    int64_t characters = 0;
    for (size_t i = 0; i < text.length; i++) characters += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return characters;
}

const char *tandem_format(const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        va_end(again);
        return format;
    }
    char *text = tandem_allocate((size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

const char *tandem_file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

// strtod and strtoll skip blanks and stop where they like; a number is the whole text.
static const char *number_text(tandem_text text) {
    if (text.length == 0 || memchr(text.data, '\0', text.length) != NULL) return NULL;
    char first = text.data[0];
    bool starts = (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.' || first == 'i' || first == 'I' ||
                  first == 'n' || first == 'N';
    return starts ? tandem_string_of(text) : NULL;
}

bool tandem_parse_float64(tandem_text text, double *number) {
    const char *string = number_text(text);
    if (string == NULL) return false;
    char *end;
    *number = strtod(string, &end);
    return *end == '\0';
}

bool tandem_parse_int64(tandem_text text, int64_t *number) {
    const char *string = number_text(text);
    if (string == NULL) return false;
    bool negative = *string == '-';
    if (*string == '-' || *string == '+') string++;
    if (*string == '\0') return false;
    uint64_t magnitude = 0, most = (uint64_t)INT64_MAX + negative;
    for (; *string != '\0'; string++) {
        if (*string < '0' || *string > '9') return false;
        uint64_t digit = (uint64_t)(*string - '0');
        if (magnitude > (most - digit) / 10) return false;
        magnitude = magnitude * 10 + digit;
    }
    *number = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

// ---- Instants

static int64_t floor_divide(int64_t value, int64_t unit) {
    int64_t quotient = value / unit;
    return value % unit < 0 ? quotient - 1 : quotient;
}

#define MICROS_PER_SECOND INT64_C(1000000)
#define MICROS_PER_DAY (86400 * MICROS_PER_SECOND)

int64_t tandem_seconds(tandem_timestamp instant) { return floor_divide(instant.micros, MICROS_PER_SECOND); }
int64_t tandem_days(tandem_timestamp instant) { return floor_divide(instant.micros, MICROS_PER_DAY); }

static int64_t second_of_day(tandem_timestamp instant) { return tandem_seconds(instant) - tandem_days(instant) * 86400; }

int64_t tandem_hour_of_day(tandem_timestamp instant) { return second_of_day(instant) / 3600; }
int64_t tandem_minute_of_hour(tandem_timestamp instant) { return second_of_day(instant) / 60 % 60; }
int64_t tandem_day_of_week(tandem_timestamp instant) {
    return ((tandem_days(instant) + 3) % 7 + 7) % 7 + 1; // 1970-01-01 was a Thursday
}

// `civil_from_days` of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". Years begin in March there; an era has 400 years.
tandem_date tandem_date_of(tandem_timestamp instant) {
    int64_t days = tandem_days(instant) + 719468;
    int64_t era = floor_divide(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (tandem_date){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = (int32_t)month,
        .day = (int32_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

int64_t tandem_seconds_since(tandem_timestamp instant, tandem_timestamp earlier) {
    // The difference needs 65 bits, the quotient does not: seconds and the rest of each are taken apart.
    int64_t seconds = tandem_seconds(instant) - tandem_seconds(earlier);
    int64_t rest = (instant.micros - tandem_seconds(instant) * MICROS_PER_SECOND) -
                   (earlier.micros - tandem_seconds(earlier) * MICROS_PER_SECOND);
    return rest < 0 ? seconds - 1 : seconds;
}

// ---- Messages

// Bytes of the character that begins here, at most `left`; 0 if it is none.
static size_t character_bytes(const unsigned char *at, size_t left) {
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xc2 && at[0] < 0xe0 ? 2 : at[0] >= 0xe0 && at[0] < 0xf0 ? 3 : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > left) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool beyond = (at[0] == 0xed && at[1] >= 0xa0) || (at[0] == 0xf4 && at[1] >= 0x90);
    return overlong || beyond ? 0 : length;
}

// A message as the contract has it: UTF-8 (a byte that is none becomes `?`), cut at a character.
static contract_string_t bounded(const char *message) {
    const unsigned char *at = (const unsigned char *)message;
    size_t left = strlen(message), used = 0;
    bool cut = left > TANDEM_MESSAGE_BYTES_MAX;
    size_t room = cut ? TANDEM_MESSAGE_BYTES_MAX - 3 : TANDEM_MESSAGE_BYTES_MAX;
    uint8_t *text = of_malloc(TANDEM_MESSAGE_BYTES_MAX, 1);
    while (left > 0) {
        size_t bytes = character_bytes(at, left);
        size_t taken = bytes == 0 ? 1 : bytes;
        if (used + taken > room) break;
        if (bytes == 0) text[used] = '?';
        else memcpy(text + used, at, bytes);
        used += taken, at += taken, left -= taken;
    }
    if (cut) memcpy(text + used, "…", 3), used += 3;
    return (contract_string_t){text, used};
}

static contract_string_t copied(const char *string) {
    contract_string_t copy;
    contract_string_dup(&copy, string == NULL ? "" : string);
    return copy;
}

// ---- Columns that are read

static size_t count(const tandem_field *fields) {
    size_t fields_count = 0;
    while (fields[fields_count].name != NULL) fields_count++;
    return fields_count;
}

static tandem_string_column strings_of(const var_bytes_t *bytes) {
    return (tandem_string_column){.offsets = bytes->offsets.ptr, .data = (const char *)bytes->data.ptr};
}

// Puts the column into the author's struct, which has it at the field's offset.
static void show_column(const tandem_field *field, const column_t *column, void *author) {
    void *at = (char *)author + field->offset;
    const uint8_t *validity = column->validity.is_some ? column->validity.val.ptr : NULL;
    const tandem_feature_columns_values_t *values = &column->values;
    switch (field->type) {
    case TANDEM_BOOLEAN:
        *(tandem_boolean_column *)at = (tandem_boolean_column){values->val.booleans.ptr, validity};
        break;
    case TANDEM_INT64:
        *(tandem_int64_column *)at = (tandem_int64_column){values->val.int64s.ptr, validity};
        break;
    case TANDEM_FLOAT64:
        *(tandem_float64_column *)at = (tandem_float64_column){values->val.float64s.ptr, validity};
        break;
    case TANDEM_TIMESTAMP:
        *(tandem_timestamp_column *)at =
            (tandem_timestamp_column){(const tandem_timestamp *)(const void *)values->val.timestamps.ptr, validity};
        break;
    case TANDEM_STRING: {
        tandem_string_column strings = strings_of(&values->val.strings);
        strings.validity = validity;
        *(tandem_string_column *)at = strings;
        break;
    }
    case TANDEM_BINARY:
        *(tandem_binary_column *)at =
            (tandem_binary_column){values->val.binaries.offsets.ptr, values->val.binaries.data.ptr, validity};
        break;
    case TANDEM_FLOAT32_VECTOR:
        *(tandem_vector_column *)at = (tandem_vector_column){values->val.float32_vectors.data.ptr, validity};
        break;
    case TANDEM_INT64_SEQUENCE:
        *(tandem_int64_sequence_column *)at = (tandem_int64_sequence_column){
            values->val.sequences.offsets.ptr, values->val.sequences.items.val.int64s.ptr, validity};
        break;
    case TANDEM_FLOAT64_SEQUENCE:
        *(tandem_float64_sequence_column *)at = (tandem_float64_sequence_column){
            values->val.sequences.offsets.ptr, values->val.sequences.items.val.float64s.ptr, validity};
        break;
    case TANDEM_STRING_SEQUENCE:
        *(tandem_string_sequence_column *)at = (tandem_string_sequence_column){
            values->val.sequences.offsets.ptr, strings_of(&values->val.sequences.items.val.strings), validity};
        break;
    case TANDEM_TIMESTAMP_SEQUENCE:
        break; // of parameters alone: `describe` refuses it
    }
}

static size_t alignment(tandem_type type) {
    switch (type) {
    case TANDEM_BOOLEAN:
        return _Alignof(bool);
    case TANDEM_INT64:
    case TANDEM_TIMESTAMP:
        return _Alignof(int64_t);
    case TANDEM_FLOAT64:
        return _Alignof(double);
    case TANDEM_FLOAT32_VECTOR:
        return _Alignof(float);
    default:
        return _Alignof(tandem_text);
    }
}

// The place of a field's value. Behind `has_value`, where it is nullable.
static void *value_place(const tandem_field *field, const void *author) {
    return (char *)(uintptr_t)author + field->offset + (field->nullable ? alignment(field->type) : 0);
}

static tandem_texts texts_between(tandem_string_column strings, uint32_t from, uint32_t to) {
    tandem_text *items = tandem_allocate((size_t)(to - from) * sizeof(tandem_text));
    for (uint32_t i = from; i < to; i++) items[i - from] = tandem_text_at(strings, i);
    return (tandem_texts){items, to - from};
}

// Puts a row of a column into the author's struct.
static void read_value(const tandem_field *field, const column_t *column, size_t row, void *author) {
    const tandem_feature_columns_values_t *values = &column->values;
    if (field->nullable) {
        bool has_value = tandem_is_valid(column->validity.is_some ? column->validity.val.ptr : NULL, row);
        *(bool *)((char *)author + field->offset) = has_value;
    }
    void *at = value_place(field, author);
    switch (field->type) {
    case TANDEM_BOOLEAN:
        *(bool *)at = values->val.booleans.ptr[row] != 0;
        break;
    case TANDEM_INT64:
    case TANDEM_TIMESTAMP:
        *(int64_t *)at = values->val.int64s.ptr[row];
        break;
    case TANDEM_FLOAT64:
        *(double *)at = values->val.float64s.ptr[row];
        break;
    case TANDEM_STRING:
        *(tandem_text *)at = tandem_text_at(strings_of(&values->val.strings), row);
        break;
    case TANDEM_BINARY: {
        tandem_text text = tandem_text_at(strings_of(&values->val.binaries), row);
        *(tandem_bytes *)at = (tandem_bytes){(const uint8_t *)text.data, text.length};
        break;
    }
    case TANDEM_FLOAT32_VECTOR:
        memcpy(at, values->val.float32_vectors.data.ptr + row * field->width, field->width * sizeof(float));
        break;
    case TANDEM_INT64_SEQUENCE: {
        const uint32_t *offsets = values->val.sequences.offsets.ptr;
        const int64_t *items = values->val.sequences.items.val.int64s.ptr;
        *(tandem_int64s *)at = (tandem_int64s){items + offsets[row], offsets[row + 1] - offsets[row]};
        break;
    }
    case TANDEM_FLOAT64_SEQUENCE: {
        const uint32_t *offsets = values->val.sequences.offsets.ptr;
        const double *items = values->val.sequences.items.val.float64s.ptr;
        *(tandem_float64s *)at = (tandem_float64s){items + offsets[row], offsets[row + 1] - offsets[row]};
        break;
    }
    case TANDEM_STRING_SEQUENCE: {
        const uint32_t *offsets = values->val.sequences.offsets.ptr;
        tandem_string_column strings = strings_of(&values->val.sequences.items.val.strings);
        *(tandem_texts *)at = texts_between(strings, offsets[row], offsets[row + 1]);
        break;
    }
    case TANDEM_TIMESTAMP_SEQUENCE:
        break;
    }
}

// ---- Columns that are written

typedef struct {
    char *bytes;
    size_t used, size;
} buffer;

static void append(buffer *to, const void *bytes, size_t length) {
    if (length > UINT32_MAX - to->used) abort(); // offsets have 32 bits
    if (length > to->size - to->used) {
        size_t size = to->size < 64 ? 64 : to->size;
        while (size - to->used < length) size = size > SIZE_MAX / 2 ? to->used + length : size * 2;
        to->bytes = realloc(to->bytes, size);
        if (to->bytes == NULL) abort();
        to->size = size;
    }
    if (length > 0) memcpy(to->bytes + to->used, bytes, length);
    to->used += length;
}

struct tandem_pushed {
    const tandem_field *field;
    size_t rows, row;
    uint8_t *validity; // NULL if it is not nullable
    uint32_t *offsets; // rows + 1
    buffer items;      // bytes, numbers, or the offsets of strings
    buffer text;       // of strings in sequences
    void *values;      // of what has a fixed size, instead of the three
};

static size_t value_size(const tandem_field *field) {
    switch (field->type) {
    case TANDEM_BOOLEAN:
        return 1;
    case TANDEM_FLOAT32_VECTOR:
        return field->width * sizeof(float);
    default:
        return 8;
    }
}

static bool is_fixed(tandem_type type) { return type <= TANDEM_TIMESTAMP || type == TANDEM_FLOAT32_VECTOR; }

static tandem_pushed begin(const tandem_field *field, size_t rows) {
    tandem_pushed column = {.field = field, .rows = rows};
    if (field->nullable) {
        column.validity = of_malloc((rows + 7) / 8, 1);
        for (size_t row = 0; row < rows; row++) column.validity[row >> 3] |= (uint8_t)(1u << (row & 7));
    }
    if (is_fixed(field->type)) {
        column.values = of_malloc(rows, value_size(field));
    } else {
        column.offsets = of_malloc(rows + 1, sizeof(uint32_t));
        if (field->type == TANDEM_STRING_SEQUENCE) append(&column.items, &(uint32_t){0}, sizeof(uint32_t));
    }
    return column;
}

static size_t item_size(tandem_type type) {
    return type == TANDEM_STRING_SEQUENCE ? sizeof(uint32_t) : type == TANDEM_STRING || type == TANDEM_BINARY ? 1 : 8;
}

// The row ends where the items end.
static void end_row(tandem_pushed *column) {
    if (column->row < column->rows) {
        size_t items = column->items.used / item_size(column->field->type);
        column->offsets[column->row + 1] = (uint32_t)(column->field->type == TANDEM_STRING_SEQUENCE ? items - 1 : items);
    }
    column->row++;
}

void tandem_push_text(tandem_pushed *column, tandem_text text) {
    append(&column->items, text.data, text.length);
    end_row(column);
}

void tandem_push_bytes(tandem_pushed *column, tandem_bytes bytes) {
    append(&column->items, bytes.data, bytes.length);
    end_row(column);
}

void tandem_push_int64s(tandem_pushed *column, tandem_int64s items) {
    append(&column->items, items.items, items.length * sizeof(int64_t));
    end_row(column);
}

void tandem_push_float64s(tandem_pushed *column, tandem_float64s items) {
    append(&column->items, items.items, items.length * sizeof(double));
    end_row(column);
}

void tandem_push_texts(tandem_pushed *column, tandem_texts items) {
    for (size_t i = 0; i < items.length; i++) {
        append(&column->text, items.items[i].data, items.items[i].length);
        append(&column->items, &(uint32_t){(uint32_t)column->text.used}, sizeof(uint32_t));
    }
    end_row(column);
}

void tandem_push_null(tandem_pushed *column) {
    if (column->validity != NULL && column->row < column->rows) tandem_set_null(column->validity, column->row);
    end_row(column);
}

// Takes a row of the everyday form from the author's struct; of a row that failed, NULL.
static void write_value(tandem_pushed *column, size_t row, const void *author) {
    const tandem_field *field = column->field;
    bool is_null = author == NULL || (field->nullable && !*(const bool *)((const char *)author + field->offset));
    if (is_null) {
        if (author != NULL) tandem_set_null(column->validity, row);
        if (!is_fixed(field->type)) end_row(column);
        return;
    }
    const void *value = value_place(field, author);
    switch (field->type) {
    case TANDEM_BOOLEAN:
        ((uint8_t *)column->values)[row] = *(const bool *)value;
        break;
    case TANDEM_STRING:
        tandem_push_text(column, *(const tandem_text *)value);
        break;
    case TANDEM_BINARY:
        tandem_push_bytes(column, *(const tandem_bytes *)value);
        break;
    case TANDEM_INT64_SEQUENCE:
        tandem_push_int64s(column, *(const tandem_int64s *)value);
        break;
    case TANDEM_FLOAT64_SEQUENCE:
        tandem_push_float64s(column, *(const tandem_float64s *)value);
        break;
    case TANDEM_STRING_SEQUENCE:
        tandem_push_texts(column, *(const tandem_texts *)value);
        break;
    default:
        memcpy((char *)column->values + row * value_size(field), value, value_size(field));
    }
}

static var_bytes_t var_bytes(uint32_t *offsets, size_t count_of_offsets, buffer data) {
    return (var_bytes_t){.offsets = {offsets, count_of_offsets}, .data = {(uint8_t *)data.bytes, data.used}};
}

// Zeroes what lies under nulls: it cannot be observed.
static void clear_under_nulls(tandem_pushed *column) {
    size_t size = value_size(column->field);
    for (size_t row = 0; column->validity != NULL && row < column->rows; row++) {
        if (!tandem_is_valid(column->validity, row)) memset((char *)column->values + row * size, 0, size);
    }
}

static column_t finish(tandem_pushed *column) {
    column_t made = {0};
    const tandem_field *field = column->field;
    size_t rows = column->rows, offsets = rows + 1;
    if (is_fixed(field->type)) clear_under_nulls(column);
    switch (field->type) {
    case TANDEM_BOOLEAN:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_BOOLEANS;
        made.values.val.booleans = (contract_list_u8_t){column->values, rows};
        break;
    case TANDEM_INT64:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_INT64S;
        made.values.val.int64s = (contract_list_s64_t){column->values, rows};
        break;
    case TANDEM_FLOAT64:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_FLOAT64S;
        made.values.val.float64s = (contract_list_f64_t){column->values, rows};
        break;
    case TANDEM_TIMESTAMP:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_TIMESTAMPS;
        made.values.val.timestamps = (contract_list_s64_t){column->values, rows};
        break;
    case TANDEM_STRING:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_STRINGS;
        made.values.val.strings = var_bytes(column->offsets, offsets, column->items);
        break;
    case TANDEM_BINARY:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_BINARIES;
        made.values.val.binaries = var_bytes(column->offsets, offsets, column->items);
        break;
    case TANDEM_FLOAT32_VECTOR:
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_FLOAT32_VECTORS;
        made.values.val.float32_vectors.width = field->width;
        made.values.val.float32_vectors.data = (contract_list_f32_t){column->values, rows * field->width};
        break;
    default: {
        tandem_feature_columns_sequences_t *sequences = &made.values.val.sequences;
        made.values.tag = TANDEM_FEATURE_COLUMNS_VALUES_SEQUENCES;
        sequences->offsets = (contract_list_u32_t){column->offsets, offsets};
        void *items = column->items.bytes;
        size_t length = column->items.used / item_size(field->type);
        if (field->type == TANDEM_INT64_SEQUENCE) {
            sequences->items.tag = TANDEM_FEATURE_COLUMNS_ITEMS_INT64S;
            sequences->items.val.int64s = (contract_list_s64_t){items, length};
        } else if (field->type == TANDEM_FLOAT64_SEQUENCE) {
            sequences->items.tag = TANDEM_FEATURE_COLUMNS_ITEMS_FLOAT64S;
            sequences->items.val.float64s = (contract_list_f64_t){items, length};
        } else {
            sequences->items.tag = TANDEM_FEATURE_COLUMNS_ITEMS_STRINGS;
            sequences->items.val.strings = var_bytes(items, length, column->text);
        }
    }
    }
    if (column->validity != NULL) {
        made.validity.is_some = true;
        made.validity.val = (contract_list_u8_t){column->validity, (rows + 7) / 8};
    }
    return made;
}

// ---- Failed rows

struct tandem_failures {
    size_t rows;
    const char **messages; // of each row; NULL if none has failed
    const char *misuse;
};

void tandem_fail(tandem_failures *failures, size_t row, const char *message) {
    if (row >= failures->rows) {
        failures->misuse = tandem_format("the transform reports row %zu as failed, but the call has %zu rows", row, failures->rows);
        return;
    }
    if (failures->messages == NULL) {
        failures->messages = tandem_allocate(failures->rows * sizeof(char *));
        memset(failures->messages, 0, failures->rows * sizeof(char *));
    }
    if (failures->messages[row] == NULL) failures->messages[row] = message;
}

static tandem_feature_outcomes_list_row_failure_t failed_rows(const tandem_failures *failures) {
    tandem_feature_outcomes_list_row_failure_t list = {0};
    if (failures->messages == NULL) return list;
    for (size_t row = 0; row < failures->rows; row++) list.len += failures->messages[row] != NULL;
    list.ptr = of_malloc(list.len, sizeof(row_failure_t));
    row_failure_t *next = list.ptr;
    for (size_t row = 0; row < failures->rows; row++) {
        if (failures->messages[row] != NULL) *next++ = (row_failure_t){(uint32_t)row, bounded(failures->messages[row])};
    }
    return list;
}

// ---- Parameters

static bool name_is(const contract_string_t *name, const char *string) {
    return tandem_text_is((tandem_text){(const char *)name->ptr, name->len}, string);
}

static const char *const EXPECTED[] = {
    [TANDEM_BOOLEAN] = "a boolean",
    [TANDEM_INT64] = "an int64",
    [TANDEM_FLOAT64] = "a float64 (or an int64 that is one exactly)",
    [TANDEM_STRING] = "a text",
    [TANDEM_INT64_SEQUENCE] = "a list of int64",
    [TANDEM_FLOAT64_SEQUENCE] = "a list of float64 (or of int64 that are float64 exactly)",
    [TANDEM_STRING_SEQUENCE] = "a list of texts",
    [TANDEM_TIMESTAMP_SEQUENCE] = "a list of timestamps",
};

// The same number, if a float64 has it.
static bool exact(int64_t integer, double *number) {
    *number = (double)integer;
    // 2^63 is no int64: a cast back would be undefined.
    return *number < 9223372036854775808.0 && (int64_t)*number == integer;
}

static size_t list_length(const tandem_feature_signatures_parameter_value_t *value) {
    switch (value->tag) {
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_TEXTS:
        return value->val.texts.offsets.len - 1;
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64S:
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_FLOAT64S:
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_TIMESTAMPS:
        return value->val.int64s.len;
    default:
        return SIZE_MAX; // no list
    }
}

// Puts a parameter into the settings; false if it is of another type.
static bool take(const tandem_field *field, const tandem_feature_signatures_parameter_value_t *value, void *at) {
    uint8_t tag = value->tag;
    switch (field->type) {
    case TANDEM_BOOLEAN:
        if (tag != TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_BOOLEAN) return false;
        *(bool *)at = value->val.boolean;
        return true;
    case TANDEM_INT64:
        if (tag != TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64) return false;
        *(int64_t *)at = value->val.int64;
        return true;
    case TANDEM_FLOAT64:
        if (tag == TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64) return exact(value->val.int64, at);
        if (tag != TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_FLOAT64) return false;
        *(double *)at = value->val.float64;
        return true;
    case TANDEM_STRING:
        if (tag != TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_TEXT) return false;
        *(tandem_text *)at = (tandem_text){(const char *)value->val.text.ptr, value->val.text.len};
        return true;
    default:
        break;
    }
    // A list without items has no type of its own in a definition, so it is taken for a list of any type.
    if (list_length(value) == 0) {
        memset(at, 0, sizeof(tandem_int64s));
        return true;
    }
    switch (field->type) {
    case TANDEM_INT64_SEQUENCE:
    case TANDEM_TIMESTAMP_SEQUENCE: {
        bool wants_timestamps = field->type == TANDEM_TIMESTAMP_SEQUENCE;
        uint8_t wanted = wants_timestamps ? TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_TIMESTAMPS
                                          : TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64S;
        if (tag != wanted) return false;
        *(tandem_int64s *)at = (tandem_int64s){value->val.int64s.ptr, value->val.int64s.len};
        return true;
    }
    case TANDEM_FLOAT64_SEQUENCE: {
        if (tag == TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_FLOAT64S) {
            *(tandem_float64s *)at = (tandem_float64s){value->val.float64s.ptr, value->val.float64s.len};
            return true;
        }
        if (tag != TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64S) return false;
        size_t length = value->val.int64s.len;
        double *items = tandem_allocate(length * sizeof(double));
        for (size_t i = 0; i < length; i++) {
            if (!exact(value->val.int64s.ptr[i], &items[i])) return false;
        }
        *(tandem_float64s *)at = (tandem_float64s){items, length};
        return true;
    }
    case TANDEM_STRING_SEQUENCE:
        if (tag != TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_TEXTS) return false;
        *(tandem_texts *)at = texts_between(strings_of(&value->val.texts), 0, (uint32_t)value->val.texts.offsets.len - 1);
        return true;
    default:
        return false;
    }
}

// What was given, for people.
static const char *given_value(const tandem_feature_signatures_parameter_value_t *value) {
    switch (value->tag) {
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_BOOLEAN:
        return value->val.boolean ? "the boolean true" : "the boolean false";
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64:
        return tandem_format("the int64 %lld", (long long)value->val.int64);
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_FLOAT64:
        return tandem_format("the float64 %.17g", value->val.float64);
    case TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_TEXT: {
        int length = value->val.text.len > 200 ? 200 : (int)value->val.text.len;
        return tandem_format("the text \"%.*s\"", length, (const char *)value->val.text.ptr);
    }
    default: {
        static const char *const OF[] = {"int64", "float64", "timestamps", "texts"};
        uint8_t kind = value->tag - TANDEM_FEATURE_SIGNATURES_PARAMETER_VALUE_INT64S;
        return tandem_format("a list of %zu %s", list_length(value), OF[kind]);
    }
    }
}

static const char *unknown(const contract_string_t *name) {
    const char *known = NULL;
    for (const tandem_field *field = tandem_the_transform.parameters; field->name != NULL; field++) {
        known = known == NULL ? field->name : tandem_format("%s, %s", known, field->name);
    }
    int length = (int)name->len;
    return known == NULL ? tandem_format("unknown parameter `%.*s`: the transform has no parameters", length, (const char *)name->ptr)
                         : tandem_format("unknown parameter `%.*s`: the parameters are %s", length, (const char *)name->ptr, known);
}

// Fills the settings; gives what is wrong with the parameters, or NULL.
static const char *read_parameters(const contract_list_parameter_t *given, void *settings) {
    memset(settings, 0, tandem_the_transform.settings_size);
    for (size_t i = 0; i < given->len; i++) {
        const contract_string_t *name = &given->ptr[i].name;
        const tandem_field *field = tandem_the_transform.parameters;
        while (field->name != NULL && !name_is(name, field->name)) field++;
        if (field->name == NULL) return unknown(name);
        for (size_t before = 0; before < i; before++) {
            if (name_is(&given->ptr[before].name, field->name)) return tandem_format("parameter `%s` is given twice", field->name);
        }
    }
    for (const tandem_field *field = tandem_the_transform.parameters; field->name != NULL; field++) {
        const parameter_t *parameter = NULL;
        for (size_t i = 0; i < given->len; i++) {
            if (name_is(&given->ptr[i].name, field->name)) parameter = &given->ptr[i];
        }
        if (parameter == NULL && field->nullable) continue;
        if (parameter != NULL && take(field, &parameter->value, value_place(field, settings))) {
            if (field->nullable) *(bool *)((char *)settings + field->offset) = true;
            continue;
        }
        const char *found = parameter == NULL ? "it is missing" : tandem_format("given %s", given_value(&parameter->value));
        bool has_doc = field->doc != NULL && field->doc[0] != '\0';
        return tandem_format("parameter `%s`: expected %s, %s%s%s%s", field->name, EXPECTED[field->type], found,
                             has_doc ? " (" : "", has_doc ? field->doc : "", has_doc ? ")" : "");
    }
    return NULL;
}

// ---- describe

static tandem_feature_signatures_data_type_t data_type(const tandem_field *field) {
    tandem_feature_signatures_data_type_t type = {.tag = (uint8_t)field->type};
    if (field->type == TANDEM_FLOAT32_VECTOR) type.val.float32_vector = field->width;
    if (field->type >= TANDEM_INT64_SEQUENCE) {
        type.tag = TANDEM_FEATURE_SIGNATURES_DATA_TYPE_SEQUENCE;
        type.val.sequence = (uint8_t)(field->type - TANDEM_INT64_SEQUENCE);
    }
    return type;
}

_Static_assert((int)TANDEM_FLOAT32_VECTOR == TANDEM_FEATURE_SIGNATURES_DATA_TYPE_FLOAT32_VECTOR, "types are numbered as in the contract");
_Static_assert(TANDEM_STRING_SEQUENCE - TANDEM_INT64_SEQUENCE == TANDEM_FEATURE_SIGNATURES_ITEM_TYPE_STRING, "and items");

static field_list_t described(const tandem_field *fields) {
    field_list_t list = {of_malloc(count(fields), sizeof(field_t)), count(fields)};
    for (size_t i = 0; i < list.len; i++) {
        list.ptr[i] = (field_t){copied(fields[i].name), data_type(&fields[i]), fields[i].nullable, copied(fields[i].doc)};
    }
    return list;
}

// What no signature can have, or NULL.
static const char *misdeclared(void) {
    for (int role = 0; role < 2; role++) {
        for (const tandem_field *field = role == 0 ? tandem_the_transform.inputs : tandem_the_transform.outputs; field->name != NULL; field++) {
            if (field->type == TANDEM_TIMESTAMP_SEQUENCE) {
                return tandem_format("`%s`: a sequence of timestamps is a parameter's alone; take INT64_SEQUENCE, in microseconds", field->name);
            }
        }
    }
    for (const tandem_field *field = tandem_the_transform.parameters; field->name != NULL; field++) {
        if (EXPECTED[field->type] == NULL) {
            return tandem_format("parameter `%s`: a parameter is no timestamp, binary or vector; there is TIMESTAMP_SEQUENCE", field->name);
        }
    }
    return NULL;
}

// The arguments are ours to free: the generated code hands them over.
static void free_parameters(contract_list_parameter_t *parameters) { contract_list_parameter_free(parameters); }

bool exports_contract_describe(contract_list_parameter_t *parameters, contract_signature_t *signature, contract_failure_t *failure) {
    const char *wrong = misdeclared();
    if (wrong == NULL) wrong = read_parameters(parameters, tandem_allocate(tandem_the_transform.settings_size));
    if (wrong != NULL) {
        failure->message = bounded(wrong);
    } else {
        signature->inputs = described(tandem_the_transform.inputs);
        signature->outputs = described(tandem_the_transform.outputs);
        signature->doc = copied(tandem_the_transform.doc);
    }
    free_parameters(parameters);
    forget_blocks();
    return wrong == NULL;
}

// ---- apply

static void apply_rows(size_t rows, const contract_list_column_t *inputs, const void *settings, tandem_pushed *outputs,
                       size_t output_count, tandem_failures *failures) {
    void *row_struct = tandem_allocate(tandem_the_transform.input_size);
    void *output_struct = tandem_allocate(tandem_the_transform.output_size);
    for (size_t row = 0; row < rows; row++) {
        memset(row_struct, 0, tandem_the_transform.input_size);
        for (size_t i = 0; i < inputs->len; i++) {
            read_value(&tandem_the_transform.inputs[i], &inputs->ptr[i], row, row_struct);
        }
        memset(output_struct, 0, tandem_the_transform.output_size);
        const char *why = tandem_the_transform.row(row_struct, settings, output_struct);
        if (why != NULL) tandem_fail(failures, row, why);
        for (size_t i = 0; i < output_count; i++) write_value(&outputs[i], row, why == NULL ? output_struct : NULL);
    }
}

// The columns in the author's structs, then the author's function; gives why the call has no result, or NULL.
static const char *apply_columns(size_t rows, const contract_list_column_t *inputs, const void *settings, tandem_pushed *outputs,
                                 size_t output_count, tandem_failures *failures) {
    void *input_struct = tandem_allocate(tandem_the_transform.input_size);
    char *output_struct = tandem_allocate(tandem_the_transform.output_size);
    for (size_t i = 0; i < inputs->len; i++) show_column(&tandem_the_transform.inputs[i], &inputs->ptr[i], input_struct);
    for (size_t i = 0; i < output_count; i++) {
        void *at = output_struct + outputs[i].field->offset;
        if (is_fixed(outputs[i].field->type)) {
            TANDEM_FIXED_OUTPUT(void) fixed = {outputs[i].values, outputs[i].validity};
            memcpy(at, &fixed, sizeof fixed);
        } else {
            *(tandem_pushed **)at = &outputs[i];
        }
    }
    const char *why = tandem_the_transform.columns(rows, input_struct, settings, output_struct, failures);
    for (size_t i = 0; why == NULL && i < output_count; i++) {
        if (!is_fixed(outputs[i].field->type) && outputs[i].row != rows) {
            why = tandem_format("output `%s` has %zu rows, and the call has %zu", outputs[i].field->name, outputs[i].row, rows);
        }
    }
    return why != NULL ? why : failures->misuse;
}

bool exports_contract_apply(contract_list_parameter_t *parameters, uint32_t rows, contract_list_column_t *inputs,
                            contract_outcome_t *outcome, contract_failure_t *failure) {
    const tandem_transform *transform = &tandem_the_transform;
    void *settings = tandem_allocate(transform->settings_size);
    const char *why = read_parameters(parameters, settings);
    if (why == NULL && inputs->len != count(transform->inputs)) {
        why = tandem_format("the transform takes %zu columns, and is given %zu", count(transform->inputs), inputs->len);
    }
    if (why == NULL) {
        size_t output_count = count(transform->outputs);
        tandem_pushed *outputs = tandem_allocate(output_count * sizeof(tandem_pushed));
        for (size_t i = 0; i < output_count; i++) outputs[i] = begin(&transform->outputs[i], rows);
        tandem_failures failures = {.rows = rows};
        if (transform->row != NULL) apply_rows(rows, inputs, settings, outputs, output_count, &failures);
        else why = apply_columns(rows, inputs, settings, outputs, output_count, &failures);
        contract_list_column_t columns = {of_malloc(output_count, sizeof(column_t)), output_count};
        for (size_t i = 0; i < output_count; i++) columns.ptr[i] = finish(&outputs[i]);
        outcome->columns.ptr = columns.ptr, outcome->columns.len = columns.len;
        outcome->failed_rows = why == NULL ? failed_rows(&failures) : (tandem_feature_outcomes_list_row_failure_t){0};
        if (why != NULL) contract_outcome_free(outcome);
    }
    if (why != NULL) failure->message = bounded(why);
    free_parameters(parameters);
    contract_list_column_free(inputs);
    forget_blocks();
    return why == NULL;
}
