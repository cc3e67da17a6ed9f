package tandem

import (
	"fmt"
	"reflect"
	"unsafe"
)

// column is a column of the contract; of the slices those count that its kind has.
type column struct {
	kind     kind
	width    int
	booleans []byte
	int64s   []int64
	float64s []float64
	vectors  []float32
	offsets  []uint32
	data     []byte   // of texts and binaries, and of texts in sequences
	ends     []uint32 // of texts in sequences
	validity []byte   // nil: every row has a value
}

func (from *column) isValid(row int) bool {
	return from.validity == nil || from.validity[row>>3]>>(row&7)&1 == 1
}

// text is the text of a row: a view of the column.
func (from *column) text(row int) string {
	return view(from.data[from.offsets[row]:from.offsets[row+1]])
}

// text2 is a text of a sequence.
func (from *column) text2(item int) string { return view(from.data[from.ends[item]:from.ends[item+1]]) }

func view(bytes []byte) string { return unsafe.String(unsafe.SliceData(bytes), len(bytes)) }

// writer gathers an output column.
type writer struct {
	field *field
	made  column
	nulls int
}

func newWriter(of *field, rows int) *writer {
	to := &writer{field: of, made: column{kind: of.kind, width: of.width}}
	switch of.kind {
	case boolean:
		to.made.booleans = make([]byte, rows)
	case int64s, timestamps:
		to.made.int64s = make([]int64, rows)
	case float64s:
		to.made.float64s = make([]float64, rows)
	case vectors:
		to.made.vectors = make([]float32, rows*of.width)
	case textSequences:
		to.made.ends = append(to.made.ends, 0)
		fallthrough
	default:
		to.made.offsets = make([]uint32, rows+1)
	}
	if of.nullable {
		to.made.validity = allValid(rows)
	}
	return to
}

func allValid(rows int) []byte {
	validity := make([]byte, (rows+7)/8)
	for row := range rows {
		validity[row>>3] |= 1 << (row & 7)
	}
	return validity
}

// skip leaves a row that failed; what stands in its place does not count.
func (to *writer) skip(row int) { to.end(row) }

func (to *writer) null(row int) {
	to.nulls++
	to.made.validity[row>>3] &^= 1 << (row & 7)
	to.end(row)
}

// end ends a row of variable length where its items end.
func (to *writer) end(row int) {
	made := &to.made
	switch made.kind {
	case texts, binaries:
		made.offsets[row+1] = length32(len(made.data))
	case int64Sequences:
		made.offsets[row+1] = length32(len(made.int64s))
	case float64Sequences:
		made.offsets[row+1] = length32(len(made.float64s))
	case textSequences:
		made.offsets[row+1] = length32(len(made.ends) - 1)
	}
}

func length32(length int) uint32 {
	if length > 1<<31-1 {
		panic("a column of more than 2^31 - 1 bytes or items")
	}
	return uint32(length)
}

func (to *writer) push(row int, place unsafe.Pointer) {
	made := &to.made
	switch made.kind {
	case boolean:
		if *(*bool)(place) {
			made.booleans[row] = 1
		}
	case int64s, timestamps:
		made.int64s[row] = *(*int64)(place)
	case float64s:
		made.float64s[row] = *(*float64)(place)
	case texts:
		made.data = append(made.data, *(*string)(place)...)
	case binaries:
		made.data = append(made.data, *(*[]byte)(place)...)
	case vectors:
		copy(made.vectors[row*made.width:], unsafe.Slice((*float32)(place), made.width))
	case int64Sequences:
		made.int64s = append(made.int64s, *(*[]int64)(place)...)
	case float64Sequences:
		made.float64s = append(made.float64s, *(*[]float64)(place)...)
	case textSequences:
		for _, text := range *(*[]string)(place) {
			made.data = append(made.data, text...)
			made.ends = append(made.ends, length32(len(made.data)))
		}
	}
	to.end(row)
}

func (to *writer) column() column {
	if to.nulls == 0 {
		to.made.validity = nil
	}
	return to.made
}

// Column is a column of the columnar form: T is a type of a row's field, such as float64 or string. Columns of numbers, booleans, timestamps
// and vectors are views of what the runtime gave; others are made of it.
type Column[T any] struct {
	// Values of all rows.
	Values []T
}

// NullableColumn is a column with nulls.
type NullableColumn[T any] struct {
	// Values of all rows; zero under a null.
	Values []T
	// Validity has one bit a row, least significant first; nil if every row has a value.
	Validity []byte
}

// IsValid says whether a row has a value.
func (column NullableColumn[T]) IsValid(row int) bool {
	return column.Validity == nil || column.Validity[row>>3]>>(row&7)&1 == 1
}

// SetNull makes a row null.
func (column *NullableColumn[T]) SetNull(row int) {
	if column.Validity == nil {
		column.Validity = allValid(len(column.Values))
	}
	column.Validity[row>>3] &^= 1 << (row & 7)
}

// columnField is a field of the columnar form.
type columnField interface {
	of() (value reflect.Type, nullable bool)
	take(from *column, rows int)
	give(as *field, rows int) (column, error)
}

func (*Column[T]) of() (reflect.Type, bool)         { return reflect.TypeFor[T](), false }
func (*NullableColumn[T]) of() (reflect.Type, bool) { return reflect.TypeFor[T](), true }

func (to *Column[T]) take(from *column, rows int) { to.Values = valuesOf[T](from, rows) }
func (to *NullableColumn[T]) take(from *column, rows int) {
	to.Values, to.Validity = valuesOf[T](from, rows), from.validity
}

func (given *Column[T]) give(as *field, rows int) (column, error) {
	return columnOf(as, given.Values, nil, rows)
}
func (given *NullableColumn[T]) give(as *field, rows int) (column, error) {
	if given.Validity != nil && len(given.Validity) != (rows+7)/8 {
		return column{}, fmt.Errorf("output `%s` has %d bytes of validity, and the call has %d rows", as.name, len(given.Validity), rows)
	}
	return columnOf(as, given.Values, given.Validity, rows)
}

func valuesOf[T any](from *column, rows int) []T {
	switch from.kind {
	case boolean:
		return cast[T](from.booleans, rows)
	case int64s, timestamps:
		return cast[T](from.int64s, rows)
	case float64s:
		return cast[T](from.float64s, rows)
	case vectors:
		return cast[T](from.vectors, rows)
	}
	values := make([]T, rows)
	as := field{kind: from.kind, width: from.width}
	for row := range values {
		as.value(from, row, unsafe.Pointer(&values[row]))
	}
	return values
}

// cast sees a slice as rows of another type of the same memory.
func cast[T, F any](from []F, rows int) []T {
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(from))), rows)
}

func columnOf[T any](as *field, values []T, validity []byte, rows int) (column, error) {
	if len(values) != rows {
		return column{}, fmt.Errorf("output `%s` has %d rows, and the call has %d", as.name, len(values), rows)
	}
	to := newWriter(as, rows)
	to.made.validity = validity
	for row := range values {
		if to.made.isValid(row) {
			to.push(row, unsafe.Pointer(&values[row]))
		} else {
			to.end(row)
		}
	}
	if validity != nil {
		// Bits behind the last row are zero.
		to.made.validity = append([]byte(nil), validity...)
		for bit := rows; bit < len(validity)*8; bit++ {
			to.made.validity[bit>>3] &^= 1 << (bit & 7)
		}
	}
	return to.made, nil
}
