// Does what authors should not, by the row.
package main

import "tandem"

// Row says how.
type Row struct {
	How string `tandem:"how"`
	N   int64  `tandem:"n"`
}

// Features are not what matters here.
type Features struct {
	Y int64 `tandem:"y"`
}

// Settings are not looked at.
type Settings struct {
	Least *float64 `tandem:"least" doc:"Least value."`
}

func init() { tandem.Rows("", Transform) }

func main() {}

// Transform does it.
func Transform(row Row, settings Settings) (features Features, err error) {
	var nothing *Settings
	switch row.How {
	case "fails":
		return features, tandem.FieldError("how", "must not be so")
	case "index":
		features.Y = int64([]byte(row.How)[row.N])
	case "nothing":
		features.Y = int64(*nothing.Least)
	case "divide":
		features.Y = 1 / (row.N - 50)
	case "panics":
		panic("so it goes")
	default:
		features.Y = row.N
	}
	return features, nil
}
