package tandem

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

type row struct {
	X    float64 `tandem:"x"`
	Name *string `tandem:"name" doc:"Lines of a paragraph,\n  joined.\n\n\n  Another."`
}

type features struct {
	Y *float64 `tandem:"y"`
}

type settings struct {
	Large     float64      `tandem:"large" doc:"From which on it is large."`
	Limit     *int64       `tandem:"limit"`
	Edges     *[]float64   `tandem:"edges"`
	Countries []string     `tandem:"countries"`
	Holidays  *[]Timestamp `tandem:"holidays"`
}

func column64(values ...float64) column { return column{kind: float64s, float64s: values} }

func textColumn(values ...string) column {
	made := column{kind: texts, offsets: []uint32{0}}
	for _, value := range values {
		made.data = append(made.data, value...)
		made.offsets = append(made.offsets, uint32(len(made.data)))
	}
	return made
}

func TestARowThatFailsDoesNotCostItsNeighbours(t *testing.T) {
	made := newRows("", func(row row, _ NoParameters) (features, error) {
		if row.X < 0 {
			return features{}, FieldError("x", "must not be %d", -1)
		}
		if row.X == 0 {
			_ = *row.Name
		}
		return features{&row.X}, nil
	})
	names := textColumn("a", "b", "")
	names.validity = []byte{3}
	columns, failures, err := made.apply(nil, 3, []column{column64(1, -1, 0), names})
	if err != nil || columns[0].float64s[0] != 1 || columns[0].validity != nil {
		t.Fatal(columns, err)
	}
	if len(failures) != 2 || failures[0] != (failure{1, "x: must not be -1"}) {
		t.Fatal(failures)
	}
	// In this package's own tests every frame is this package's: the place is left out or is the test runner's.
	if !strings.Contains(failures[1].message, "nil pointer dereference") {
		t.Error(failures[1])
	}
	if made.inputs[1].doc != "Lines of a paragraph, joined.\n\nAnother." {
		t.Errorf("%q", made.inputs[1].doc)
	}
}

func TestParametersAreReadOrNamed(t *testing.T) {
	made := newRows("", func(row, settings) (features, error) { return features{}, nil })
	good := []parameter{{"countries", []string{"CH", ""}}, {"edges", []int64{1, 2}}, {"large", int64(7)}, {"limit", int64(1<<53 + 1)}}
	read, err := settingsOf[settings](made, good)
	limit, edges := int64(1<<53+1), []float64{1, 2}
	if err != nil || !reflect.DeepEqual(read, settings{7, &limit, &edges, []string{"CH", ""}, nil}) {
		t.Fatal(read, err)
	}
	with := func(name string, value any) []parameter {
		return []parameter{{"large", 1.5}, {"countries", []string{}}, {name, value}}
	}
	for message, given := range map[string][]parameter{
		"parameter `large`: expected a float64 (or an int64 that is one exactly), it is missing (From which on it is large.)": {},
		"unknown parameter `larg`: the parameters are large, limit, edges, countries, holidays":                               with("larg", true),
		"parameter `large` is given twice":                                                                              with("large", 1.5),
		"parameter `limit`: expected an int64, given the float64 1.5":                                                   with("limit", 1.5),
		"parameter `limit`: expected an int64, given the text \"one\"":                                                  with("limit", "one"),
		"parameter `holidays`: expected a list of timestamps, given a list of 1 int64":                                  with("holidays", []int64{1}),
		"parameter `edges`: expected a list of float64 (or of int64 that are float64 exactly), given a list of 1 int64": with("edges", []int64{1<<63 - 1}),
	} {
		if _, err := settingsOf[settings](made, given); err == nil || err.Error() != message {
			t.Errorf("%v\nexpected %s", err, message)
		}
	}
}

func TestStructsThatAreNoSignatureAreRefused(t *testing.T) {
	type unnamed struct{ X float64 }
	type badName struct {
		X float64 `tandem:"X"`
	}
	type badType struct {
		X int32 `tandem:"x"`
	}
	type badAsOf struct {
		X int64 `tandem:"as_of"`
	}
	type twice struct {
		X int64 `tandem:"x"`
		Y int64 `tandem:"x"`
	}
	for message, of := range map[string]reflect.Type{
		"unnamed.X: it has no name":                     typeOf[unnamed](),
		"badName.X: `X` is no name":                     typeOf[badName](),
		"badType.X: int32 is no type of a column":       typeOf[badType](),
		"badAsOf.X: the input `as_of` is a tandem.Time": typeOf[badAsOf](),
		"twice.Y: `x` is the name of another input":     typeOf[twice](),
		"the inputs are int64, which is no struct":      typeOf[int64](),
	} {
		if _, err := fieldsOf(of, "input", false); err == nil || !strings.HasPrefix(err.Error(), message) {
			t.Errorf("%v\nexpected %s", err, message)
		}
	}
	if _, err := fieldsOf(typeOf[badAsOf](), "output", false); err == nil || !strings.Contains(err.Error(), "beside the features") {
		t.Error(err)
	}
}

func TestLongMessagesAreCutAtACharacter(t *testing.T) {
	for _, character := range []string{"a", "é", "€", "😀"} {
		message := bounded(strings.Repeat(character, 2000))
		if len(message) > MessageBytesMax || len(message) <= MessageBytesMax-8 || !strings.HasSuffix(message, "…") {
			t.Error(len(message))
		}
		_, err := guarded(func() (int, error) { panic(strings.Repeat(character, 2000)) })
		if err == nil || len(err.Error()) > MessageBytesMax {
			t.Error(len(err.Error()))
		}
	}
	if bounded("\xff") != "\uFFFD" || bounded(errors.New("x").Error()) != "x" {
		t.Error("a message is UTF-8")
	}
}
