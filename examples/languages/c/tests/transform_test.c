// The function, tested as what it is: a plain function. From the folder above:
//   cc -Ivendor/tandem-sdk tests/transform_test.c vendor/tandem-sdk/*.c -lm -o /tmp/transform_test && /tmp/transform_test

#include <assert.h>
#include <stdio.h>

#include "../transform.c"

int main(void) {
    const settings settings = {0};
    input line = {.order_id = INT64_MIN, .price = tandem_text_of("19.99"), .quantity = 3};
    line.title.has_value = true;
    line.title.value = tandem_text_of("Café au lait, 250 g");
    output features = {0};
    assert(transform(&line, &settings, &features) == NULL);
    assert(features.net == 19.99 * 3 && features.bucket == 192 && !features.is_large && !features.norm.has_value);
    assert(features.title_length.value == 19 && tandem_text_is(features.slug.value, "caf-au-lait-250-g"));
    const char *wrong[] = {"", "-", ".5", "5.", "+1", "1e3", "1_000", " 5", "1.2.3", "0x10", "1234567890123"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        line.price = tandem_text_of(wrong[i]);
        const char *why = transform(&line, &settings, &features);
        assert(why != NULL && strcmp(why, "price: not a number") == 0);
    }
    puts("ok");
}
