// Gives what it takes: every type, nullable and not, column by column.
package main

import "tandem"

// Columns has every type.
type Columns struct {
	B  tandem.Column[bool]               `tandem:"b"`
	I  tandem.Column[int64]              `tandem:"i"`
	X  tandem.Column[float64]            `tandem:"x"`
	T  tandem.Column[tandem.Timestamp]   `tandem:"t"`
	S  tandem.Column[string]             `tandem:"s"`
	Y  tandem.Column[[]byte]             `tandem:"y"`
	V  tandem.Column[[2]float32]         `tandem:"v"`
	P  tandem.Column[[]int64]            `tandem:"p"`
	Q  tandem.Column[[]float64]          `tandem:"q"`
	W  tandem.Column[[]string]           `tandem:"w"`
	BN tandem.NullableColumn[bool]       `tandem:"bn"`
	XN tandem.NullableColumn[float64]    `tandem:"xn"`
	SN tandem.NullableColumn[string]     `tandem:"sn"`
	VN tandem.NullableColumn[[2]float32] `tandem:"vn"`
	WN tandem.NullableColumn[[]string]   `tandem:"wn"`
}

func init() { tandem.Columns("Gives what it takes.", Transform) }

func main() {}

// Transform gives what it takes.
func Transform(columns Columns, _ tandem.NoParameters, _ *tandem.Call) (Columns, error) {
	return columns, nil
}
