package tandem

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"
)

// parameter is a parameter of a call: a bool, int64, float64, string, []int64, []float64, []Timestamp or []string.
type parameter struct {
	name  string
	value any
}

var expected = map[kind]string{
	boolean:            "a boolean",
	int64s:             "an int64",
	float64s:           "a float64 (or an int64 that is one exactly)",
	texts:              "a text",
	int64Sequences:     "a list of int64",
	float64Sequences:   "a list of float64 (or of int64 that are float64 exactly)",
	textSequences:      "a list of texts",
	timestampSequences: "a list of timestamps",
}

// readParameters puts parameters into the author's struct; refuses those that are unknown, missing or of the wrong type.
func readParameters(declared []field, given []parameter, settings unsafe.Pointer) error {
	for i, parameter := range given {
		if find(declared, parameter.name) == nil {
			if len(declared) == 0 {
				return fmt.Errorf("unknown parameter `%s`: the transform has no parameters", parameter.name)
			}
			names := make([]string, len(declared))
			for i := range declared {
				names[i] = declared[i].name
			}
			return fmt.Errorf("unknown parameter `%s`: the parameters are %s", parameter.name, strings.Join(names, ", "))
		}
		for _, before := range given[:i] {
			if before.name == parameter.name {
				return fmt.Errorf("parameter `%s` is given twice", parameter.name)
			}
		}
	}
	for i := range declared {
		field := &declared[i]
		var value any
		has := false
		for _, parameter := range given {
			if parameter.name == field.name {
				value, has = parameter.value, true
			}
		}
		place := unsafe.Add(settings, field.offset)
		if !has && field.nullable {
			continue
		}
		if has && field.take(value, place) {
			continue
		}
		found := "it is missing"
		if has {
			found = "given " + shown(value)
		}
		doc := ""
		if field.doc != "" {
			doc = " (" + field.doc + ")"
		}
		return fmt.Errorf("parameter `%s`: expected %s, %s%s", field.name, expected[field.kind], found, doc)
	}
	return nil
}

func find(fields []field, name string) *field {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

func put[T any](field *field, value T, place unsafe.Pointer) bool {
	if field.nullable {
		*(**T)(place) = &value
	} else {
		*(*T)(place) = value
	}
	return true
}

// exact is the same number as a float64, if there is one.
func exact(integer int64) (float64, bool) {
	number := float64(integer)
	return number, number < 1<<63 && int64(number) == integer
}

// take puts a value into its place; false if it is of another type.
func (field *field) take(value any, place unsafe.Pointer) bool {
	switch value := value.(type) {
	case bool:
		return field.kind == boolean && put(field, value, place)
	case int64:
		if field.kind == float64s {
			number, is := exact(value)
			return is && put(field, number, place)
		}
		return field.kind == int64s && put(field, value, place)
	case float64:
		return field.kind == float64s && put(field, value, place)
	case string:
		return field.kind == texts && put(field, value, place)
	}
	// A list without items has no type of its own in a definition, so it is taken for a list of any type.
	empty := listLength(value) == 0
	switch field.kind {
	case int64Sequences:
		list, is := value.([]int64)
		return (is || empty) && put(field, list, place)
	case timestampSequences:
		list, is := value.([]Timestamp)
		return (is || empty) && put(field, list, place)
	case textSequences:
		list, is := value.([]string)
		return (is || empty) && put(field, list, place)
	case float64Sequences:
		list, is := value.([]float64)
		if integers, are := value.([]int64); are {
			is = true
			for _, integer := range integers {
				number, isExact := exact(integer)
				if !isExact {
					return false
				}
				list = append(list, number)
			}
		}
		return (is || empty) && put(field, list, place)
	}
	return false
}

func listLength(value any) int {
	switch value := value.(type) {
	case []int64:
		return len(value)
	case []float64:
		return len(value)
	case []Timestamp:
		return len(value)
	case []string:
		return len(value)
	}
	return -1
}

// shown is what was given, for people.
func shown(value any) string {
	switch value := value.(type) {
	case bool:
		return fmt.Sprintf("the boolean %t", value)
	case int64:
		return fmt.Sprintf("the int64 %d", value)
	case float64:
		return "the float64 " + strconv.FormatFloat(value, 'g', -1, 64)
	case string:
		return fmt.Sprintf("the text %q", value)
	case []int64:
		return fmt.Sprintf("a list of %d int64", len(value))
	case []float64:
		return fmt.Sprintf("a list of %d float64", len(value))
	case []string:
		return fmt.Sprintf("a list of %d texts", len(value))
	}
	return fmt.Sprintf("a list of %d timestamps", listLength(value))
}
