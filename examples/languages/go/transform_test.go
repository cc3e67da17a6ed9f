package main

import "testing"

func TestPricesHaveOneForm(t *testing.T) {
	for _, text := range []string{"", "-", ".5", "5.", "+1", "1e3", "1_000", " 5", "1.2.3", "٣", "0x10", "5\n"} {
		if _, err := Transform(OrderLine{Price: text}, Settings{}); err == nil || err.Error() != "price: not a number" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestBucketsAreNeverNegative(t *testing.T) {
	for id, bucket := range map[int64]int64{-1: 999, -9223372036854775808: 192, 9007199254740993: 993} {
		features, err := Transform(OrderLine{OrderID: id, Price: "1"}, Settings{})
		if err != nil || features.Bucket != bucket {
			t.Errorf("%d: %d, %v", id, features.Bucket, err)
		}
	}
}

func TestSlugsHaveASCIIAlone(t *testing.T) {
	for title, slug := range map[string]string{"Café au lait, 250 g": "caf-au-lait-250-g", "-- 😀 A&B __": "a-b", "寿司": ""} {
		if found := Slug(title); found != slug {
			t.Errorf("%q: %q", title, found)
		}
	}
}

func TestSquaresAreAddedPlainly(t *testing.T) {
	if norm := Norm(&[4]float32{1e8, 1, 1, 0}); norm != 1e8 {
		t.Error(norm)
	}
}
