// Package tandem is what a feature transform in Go is written with: a plain function of a row, run offline and online. README.md is the
// tutorial.
package tandem

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// NoParameters are the settings of a transform that has none.
type NoParameters struct{}

// Rows makes a transform of a function from a row to its features. The fields of the structs are the columns, named and documented by tags:
//
//	Amount float64 `tandem:"amount" doc:"Amount in the account's currency."`
//
// A pointer is nullable. Call it in an init function; a module has one transform.
func Rows[I, O, P any](doc string, compute func(I, P) (O, error)) {
	register(newRows(doc, compute))
}

// Columns makes a transform of a function from whole columns to whole columns: every field of both structs is a Column or a NullableColumn.
// The result of row i must depend on row i and the settings alone.
func Columns[I, O, P any](doc string, compute func(I, P, *Call) (O, error)) {
	register(newColumns(doc, compute))
}

// Call is a call of the columnar form.
type Call struct {
	// Rows is how many rows there are.
	Rows   int
	failed map[int]string
}

// Fail says that a row has failed; what the columns hold in it does not count. Of several errors of a row the first counts.
func (call *Call) Fail(row int, err error) {
	if row < 0 || row >= call.Rows {
		panic(fmt.Sprintf("the transform reports row %d as failed, but the call has %d rows", row, call.Rows))
	}
	if _, has := call.failed[row]; !has {
		call.failed[row] = bounded(err.Error())
	}
}

// transform is what the runtime asks for.
type transform struct {
	doc             string
	inputs, outputs []field
	parameters      []field
	apply           func(parameters []parameter, rows int, inputs []column) ([]column, []failure, error)
	settings        func(parameters []parameter) (any, error)
	err             error
}

type failure struct {
	row     uint32
	message string
}

var registered *transform

func register(made *transform) {
	if registered != nil {
		made.err = errors.New("two transforms are registered; a module has one")
	}
	registered = made
}

// the transform, or why there is none.
func current() (*transform, error) {
	if registered == nil {
		return nil, errors.New("no transform is registered: call tandem.Rows in an init function")
	}
	return registered, registered.err
}

func newTransform(doc string, inputs, outputs, settings reflect.Type, columns bool) *transform {
	made := &transform{doc: paragraphs(doc)}
	var errs [3]error
	made.inputs, errs[0] = fieldsOf(inputs, "input", columns)
	made.outputs, errs[1] = fieldsOf(outputs, "output", columns)
	made.parameters, errs[2] = fieldsOf(settings, "parameter", false)
	if len(made.outputs) == 0 && errs[1] == nil {
		errs[1] = errors.New("a transform has at least one output")
	}
	made.err = errors.Join(errs[:]...)
	return made
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

func settingsOf[P any](made *transform, parameters []parameter) (P, error) {
	var settings P
	err := readParameters(made.parameters, parameters, unsafe.Pointer(&settings))
	return settings, err
}

func checkCount(made *transform, inputs []column) error {
	if len(inputs) != len(made.inputs) {
		return fmt.Errorf("the transform takes %d columns, and is given %d", len(made.inputs), len(inputs))
	}
	return nil
}

func newRows[I, O, P any](doc string, compute func(I, P) (O, error)) *transform {
	made := newTransform(doc, typeOf[I](), typeOf[O](), typeOf[P](), false)
	made.settings = func(parameters []parameter) (any, error) { return settingsOf[P](made, parameters) }
	made.apply = func(parameters []parameter, rows int, inputs []column) ([]column, []failure, error) {
		settings, err := settingsOf[P](made, parameters)
		if err = errors.Join(err, checkCount(made, inputs)); err != nil {
			return nil, nil, err
		}
		writers := make([]*writer, len(made.outputs))
		for i := range writers {
			writers[i] = newWriter(&made.outputs[i], rows)
		}
		var failures []failure
		for row := range rows {
			var input I
			for i := range made.inputs {
				made.inputs[i].read(&inputs[i], row, unsafe.Pointer(&input))
			}
			output, err := guarded(func() (O, error) { return compute(input, settings) })
			if err != nil {
				failures = append(failures, failure{uint32(row), bounded(err.Error())})
			}
			for _, writer := range writers {
				if err != nil {
					writer.skip(row)
				} else {
					writer.field.write(writer, row, unsafe.Pointer(&output))
				}
			}
		}
		columns := make([]column, len(writers))
		for i, writer := range writers {
			columns[i] = writer.column()
		}
		return columns, failures, nil
	}
	return made
}

func newColumns[I, O, P any](doc string, compute func(I, P, *Call) (O, error)) *transform {
	made := newTransform(doc, typeOf[I](), typeOf[O](), typeOf[P](), true)
	made.settings = func(parameters []parameter) (any, error) { return settingsOf[P](made, parameters) }
	made.apply = func(parameters []parameter, rows int, inputs []column) ([]column, []failure, error) {
		settings, err := settingsOf[P](made, parameters)
		if err = errors.Join(err, checkCount(made, inputs)); err != nil {
			return nil, nil, err
		}
		var input I
		value := reflect.ValueOf(&input).Elem()
		for i := range made.inputs {
			field := &made.inputs[i]
			value.FieldByIndex(field.index).Addr().Interface().(columnField).take(&inputs[i], rows)
		}
		call := &Call{Rows: rows, failed: map[int]string{}}
		output, err := guarded(func() (O, error) { return compute(input, settings, call) })
		if err != nil {
			return nil, nil, err
		}
		value = reflect.ValueOf(&output).Elem()
		columns := make([]column, len(made.outputs))
		for i := range made.outputs {
			given := value.FieldByIndex(made.outputs[i].index).Addr().Interface().(columnField)
			if columns[i], err = given.give(&made.outputs[i], rows); err != nil {
				return nil, nil, err
			}
		}
		var failures []failure
		for row := range rows {
			if message, has := call.failed[row]; has {
				failures = append(failures, failure{uint32(row), message})
			}
		}
		return columns, failures, nil
	}
	return made
}
