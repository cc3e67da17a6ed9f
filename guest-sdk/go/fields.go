package tandem

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unsafe"
)

// kind is a type of the contract, numbered as there; sequences are told apart by their items.
type kind uint8

const (
	boolean kind = iota
	int64s
	float64s
	timestamps
	texts
	binaries
	vectors
	int64Sequences
	float64Sequences
	textSequences
	timestampSequences // of parameters alone
)

// field is a field of an author's struct.
type field struct {
	name, doc string
	kind      kind
	width     int // of vectors
	nullable  bool
	offset    uintptr
	index     []int
}

var names = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// Columns of the runtime beside the features.
var reserved = map[string]bool{
	"as_of": true, "event_time": true, "created_time": true, "published_time": true, "sequence": true,
	"corrected_time": true, "retracted_time": true, "superseded_time": true, "superseded_published_time": true,
}

var lineEnds = regexp.MustCompile(`[ \t]*\n[ \t]*`)

// paragraphs joins the lines of a paragraph.
func paragraphs(doc string) string {
	parts := regexp.MustCompile(`\n[ \t]*\n`).Split(doc, -1)
	kept := parts[:0]
	for _, part := range parts {
		if part = lineEnds.ReplaceAllString(strings.TrimSpace(part), " "); part != "" {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "\n\n")
}

func fieldsOf(of reflect.Type, role string, columns bool) ([]field, error) {
	if of.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the %ss are %s, which is no struct", role, of)
	}
	var fields []field
	for i := range of.NumField() {
		member := of.Field(i)
		made := field{name: member.Tag.Get("tandem"), doc: paragraphs(member.Tag.Get("doc")), offset: member.Offset, index: member.Index}
		wrong := func(reason string) error { return fmt.Errorf("%s.%s: %s", of.Name(), member.Name, reason) }
		if made.name == "" {
			return nil, wrong("it has no name; write `tandem:\"name\"` behind its type")
		}
		if !names.MatchString(made.name) {
			return nil, wrong(fmt.Sprintf("`%s` is no name: lower-case letters, digits and underscores, not starting with a digit", made.name))
		}
		if role == "output" && reserved[made.name] {
			return nil, wrong(fmt.Sprintf("the runtime has a column `%s` beside the features; give it another name", made.name))
		}
		value := member.Type
		if columns {
			column, is := reflect.New(value).Interface().(columnField)
			if !is {
				return nil, wrong(fmt.Sprintf("a field of the columnar form is a tandem.Column or a tandem.NullableColumn, not %s", value))
			}
			value, made.nullable = column.of()
		} else if value.Kind() == reflect.Pointer {
			value, made.nullable = value.Elem(), true
		}
		var known bool
		if made.kind, made.width, known = kindOf(value); !known {
			return nil, wrong(fmt.Sprintf("%s is no type of a column: bool, int64, float64, tandem.Timestamp, string, []byte, [N]float32, []int64, []float64, []string, or a pointer to one", value))
		}
		if role == "parameter" && (made.kind == timestamps || made.kind == binaries || made.kind == vectors) {
			return nil, wrong("a parameter is no timestamp, bytes or vector; there is []tandem.Timestamp")
		}
		if role != "parameter" && made.kind == timestampSequences {
			return nil, wrong("a sequence of timestamps is a parameter's alone; take []int64, in microseconds")
		}
		if role == "input" && made.name == "as_of" && (made.kind != timestamps || made.nullable) {
			return nil, wrong("the input `as_of` is a tandem.Timestamp, never null: the instant for which a value is asked")
		}
		for _, before := range fields {
			if before.name == made.name {
				return nil, wrong(fmt.Sprintf("`%s` is the name of another %s", made.name, role))
			}
		}
		fields = append(fields, made)
	}
	return fields, nil
}

func kindOf(value reflect.Type) (kind, int, bool) {
	switch reflect.New(value).Interface().(type) {
	case *bool:
		return boolean, 0, true
	case *int64:
		return int64s, 0, true
	case *float64:
		return float64s, 0, true
	case *Timestamp:
		return timestamps, 0, true
	case *string:
		return texts, 0, true
	case *[]byte:
		return binaries, 0, true
	case *[]int64:
		return int64Sequences, 0, true
	case *[]float64:
		return float64Sequences, 0, true
	case *[]string:
		return textSequences, 0, true
	case *[]Timestamp:
		return timestampSequences, 0, true
	}
	isVector := value.Kind() == reflect.Array && value.Elem() == reflect.TypeFor[float32]() && value.Len() > 0 && value.Len() <= 65536
	if isVector {
		return vectors, value.Len(), true
	}
	return 0, 0, false
}

// read puts a row of a column into the author's struct, which is all zero.
func (field *field) read(from *column, row int, author unsafe.Pointer) {
	place := unsafe.Add(author, field.offset)
	if !field.nullable {
		field.value(from, row, place)
		return
	}
	if !from.isValid(row) {
		return
	}
	switch field.kind {
	case boolean:
		set[bool](field, from, row, place)
	case int64s, timestamps:
		set[int64](field, from, row, place)
	case float64s:
		set[float64](field, from, row, place)
	case texts:
		set[string](field, from, row, place)
	case vectors:
		// A view of the column, which nobody else reads.
		*(*unsafe.Pointer)(place) = unsafe.Pointer(&from.vectors[row*field.width])
	case binaries:
		set[[]byte](field, from, row, place)
	case int64Sequences:
		set[[]int64](field, from, row, place)
	case float64Sequences:
		set[[]float64](field, from, row, place)
	case textSequences:
		set[[]string](field, from, row, place)
	}
}

func set[T any](field *field, from *column, row int, place unsafe.Pointer) {
	value := new(T)
	field.value(from, row, unsafe.Pointer(value))
	*(**T)(place) = value
}

// value puts the value of a row into its place.
func (field *field) value(from *column, row int, place unsafe.Pointer) {
	switch field.kind {
	case boolean:
		*(*bool)(place) = from.booleans[row] != 0
	case int64s, timestamps:
		*(*int64)(place) = from.int64s[row]
	case float64s:
		*(*float64)(place) = from.float64s[row]
	case texts:
		*(*string)(place) = from.text(row)
	case binaries:
		*(*[]byte)(place) = from.data[from.offsets[row]:from.offsets[row+1]:from.offsets[row+1]]
	case vectors:
		copy(unsafe.Slice((*float32)(place), field.width), from.vectors[row*field.width:])
	case int64Sequences:
		*(*[]int64)(place) = from.int64s[from.offsets[row]:from.offsets[row+1]:from.offsets[row+1]]
	case float64Sequences:
		*(*[]float64)(place) = from.float64s[from.offsets[row]:from.offsets[row+1]:from.offsets[row+1]]
	case textSequences:
		items := make([]string, 0, from.offsets[row+1]-from.offsets[row])
		for item := from.offsets[row]; item < from.offsets[row+1]; item++ {
			items = append(items, from.text2(int(item)))
		}
		*(*[]string)(place) = items
	}
}

// write takes a row from the author's struct.
func (field *field) write(to *writer, row int, author unsafe.Pointer) {
	place := unsafe.Add(author, field.offset)
	if field.nullable {
		if place = *(*unsafe.Pointer)(place); place == nil {
			to.null(row)
			return
		}
	}
	to.push(row, place)
}
