// Features of a line of an order, in C. What it computes is written down in the README beside this folder.

#include <math.h>
#include <string.h>

#include "tandem.h"

#define WIDTH 4

#define INPUTS(FIELD)                                                                         \
    FIELD(INT64, order_id, "Number of the order.")                                            \
    FIELD(STRING, price, "Price of one piece, as text.")                                      \
    FIELD(INT64, quantity, "Pieces.")                                                         \
    FIELD(NULLABLE(FLOAT64), discount, "Share that is taken off; null where there is none.")  \
    FIELD(NULLABLE(STRING), title, "Title of the article.")                                   \
    FIELD(NULLABLE(FLOAT32_VECTOR(WIDTH)), embedding, "Embedding of the article.")

#define OUTPUTS(FIELD)                                                                        \
    FIELD(FLOAT64, net, "What is to be paid.")                                                \
    FIELD(BOOLEAN, is_large, "Whether that is much.")                                         \
    FIELD(INT64, bucket, "Order number modulo 1000.")                                         \
    FIELD(NULLABLE(INT64), title_length, "Characters of the title.")                          \
    FIELD(NULLABLE(STRING), slug, "The title in ASCII letters, digits and dashes.")           \
    FIELD(NULLABLE(FLOAT64), norm, "Length of the embedding.")                                \
    FIELD(NULLABLE(FLOAT32_VECTOR(WIDTH)), unit, "The embedding with length 1; null where it has none.")

#define PARAMETERS(FIELD) \
    FIELD(NULLABLE(FLOAT64), large, "What is to be paid from which on it is much.")

TANDEM_TRANSFORM("Features of a line of an order.", INPUTS, OUTPUTS, PARAMETERS)

static size_t digits(tandem_text text, size_t from) {
    size_t at = from;
    while (at < text.length && text.data[at] >= '0' && text.data[at] <= '9') at++;
    return at - from;
}

// A minus sign or none, 1 to 12 digits, then nothing or a full stop and 1 to 6 digits.
static bool is_price(tandem_text text) {
    size_t at = text.length > 0 && text.data[0] == '-';
    size_t whole = digits(text, at);
    at += whole;
    if (whole < 1 || whole > 12) return false;
    if (at == text.length) return true;
    if (text.data[at] != '.') return false;
    size_t fraction = digits(text, at + 1);
    return fraction >= 1 && fraction <= 6 && at + 1 + fraction == text.length;
}

static tandem_text slug(tandem_text title) {
    char *text = tandem_allocate(title.length);
    size_t length = 0;
    bool ended = false;
    for (size_t i = 0; i < title.length; i++) {
        char c = title.data[i];
        if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            if (ended && length > 0) text[length++] = '-';
            text[length++] = c;
            ended = false;
        } else {
            ended = true;
        }
    }
    return (tandem_text){text, length};
}

static const char *transform(const input *row, const settings *settings, output *features) {
    double price;
    if (!is_price(row->price) || !tandem_parse_float64(row->price, &price)) return "price: not a number";
    if (row->quantity < 0) return "quantity: must not be negative";
    double discount = row->discount.has_value ? row->discount.value : 0.0;
    features->net = price * (double)row->quantity * (1.0 - discount);
    features->is_large = features->net >= (settings->large.has_value ? settings->large.value : 100.0);
    // `%` has the sign of the dividend.
    features->bucket = (row->order_id % 1000 + 1000) % 1000;
    if (row->title.has_value) {
        features->title_length.has_value = true;
        features->title_length.value = tandem_characters(row->title.value);
        features->slug.has_value = true;
        features->slug.value = slug(row->title.value);
    }
    if (row->embedding.has_value) {
        const float *embedding = row->embedding.value.values;
        // Squares are added one after another.
        double squares = 0.0;
        for (int i = 0; i < WIDTH; i++) squares += (double)embedding[i] * (double)embedding[i];
        double norm = sqrt(squares);
        features->norm.has_value = true;
        features->norm.value = norm;
        features->unit.has_value = norm != 0.0;
        for (int i = 0; i < WIDTH && norm != 0.0; i++) features->unit.value.values[i] = (float)(embedding[i] / norm);
    }
    return NULL;
}
