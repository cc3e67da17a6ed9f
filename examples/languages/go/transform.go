// Features of a line of an order, in Go. What it computes is written down in the README beside this folder.
package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"tandem"
)

// OrderLine is a line of an order.
type OrderLine struct {
	OrderID   int64       `tandem:"order_id" doc:"Number of the order."`
	Price     string      `tandem:"price" doc:"Price of one piece, as text."`
	Quantity  int64       `tandem:"quantity" doc:"Pieces."`
	Discount  *float64    `tandem:"discount" doc:"Share that is taken off; null where there is none."`
	Title     *string     `tandem:"title" doc:"Title of the article."`
	Embedding *[4]float32 `tandem:"embedding" doc:"Embedding of the article."`
}

// Features are its features.
type Features struct {
	Net         float64     `tandem:"net" doc:"What is to be paid."`
	IsLarge     bool        `tandem:"is_large" doc:"Whether that is much."`
	Bucket      int64       `tandem:"bucket" doc:"Order number modulo 1000."`
	TitleLength *int64      `tandem:"title_length" doc:"Characters of the title."`
	Slug        *string     `tandem:"slug" doc:"The title in ASCII letters, digits and dashes."`
	Norm        *float64    `tandem:"norm" doc:"Length of the embedding."`
	Unit        *[4]float32 `tandem:"unit" doc:"The embedding with length 1; null where it has none."`
}

// Settings are what a view's definition may set.
type Settings struct {
	Large *float64 `tandem:"large" doc:"What is to be paid from which on it is much."`
}

func init() { tandem.Rows("Features of a line of an order.", Transform) }

func main() {}

var price = regexp.MustCompile(`^-?[0-9]{1,12}(\.[0-9]{1,6})?$`)

// Transform gives the features of a line, or why there are none.
func Transform(row OrderLine, settings Settings) (features Features, err error) {
	if !price.MatchString(row.Price) {
		return features, tandem.FieldError("price", "not a number")
	}
	if row.Quantity < 0 {
		return features, tandem.FieldError("quantity", "must not be negative")
	}
	number, err := strconv.ParseFloat(row.Price, 64)
	if err != nil {
		return features, err
	}
	discount, large := 0.0, 100.0
	if row.Discount != nil {
		discount = *row.Discount
	}
	if settings.Large != nil {
		large = *settings.Large
	}
	features.Net = number * float64(row.Quantity) * (1 - discount)
	features.IsLarge = features.Net >= large
	// `%` has the sign of the dividend.
	features.Bucket = (row.OrderID%1000 + 1000) % 1000
	if row.Title != nil {
		length, slug := int64(utf8.RuneCountInString(*row.Title)), Slug(*row.Title)
		features.TitleLength, features.Slug = &length, &slug
	}
	if row.Embedding != nil {
		norm := Norm(row.Embedding)
		features.Norm = &norm
		if norm != 0 {
			features.Unit = new([4]float32)
			for i, value := range row.Embedding {
				features.Unit[i] = float32(float64(value) / norm)
			}
		}
	}
	return features, nil
}

// Slug is a title in ASCII letters, digits and dashes.
func Slug(title string) string {
	isLetter := func(c rune) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' }
	words := strings.FieldsFunc(title, func(c rune) bool { return !isLetter(c) })
	return strings.ToLower(strings.Join(words, "-"))
}

// Norm adds squares one after another. The conversion keeps Go from fusing multiplication and addition on machines that could.
func Norm(vector *[4]float32) float64 {
	squares := 0.0
	for _, value := range vector {
		squares += float64(float64(value) * float64(value))
	}
	return math.Sqrt(squares)
}
