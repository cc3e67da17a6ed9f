// Gives what it takes: every type, nullable and not, row by row.
package main

import "tandem"

// Row has every type.
type Row struct {
	B  bool             `tandem:"b"`
	I  int64            `tandem:"i"`
	X  float64          `tandem:"x"`
	T  tandem.Timestamp `tandem:"t"`
	S  string           `tandem:"s"`
	Y  []byte           `tandem:"y"`
	V  [2]float32       `tandem:"v"`
	P  []int64          `tandem:"p"`
	Q  []float64        `tandem:"q"`
	W  []string         `tandem:"w"`
	BN *bool            `tandem:"bn"`
	XN *float64         `tandem:"xn"`
	SN *string          `tandem:"sn"`
	VN *[2]float32      `tandem:"vn"`
	WN *[]string        `tandem:"wn"`
}

func init() { tandem.Rows("Gives what it takes.", Transform) }

func main() {}

// Transform gives what it takes.
func Transform(row Row, _ tandem.NoParameters) (Row, error) { return row, nil }
