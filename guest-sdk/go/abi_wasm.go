package tandem

import "unsafe"

// The contract's functions, as the Canonical ABI of the component model has them. Pointers have 32 bits there, and 64 in Go's structs: so records are
// written as words.

// kept is what was handed over and is not seen by the collector; it is free again after each call.
var kept []any

var answer [7]uint32

func at[T any](slice []T) uint32 {
	kept = append(kept, slice)
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(slice))))
}

func listAt[T any](pointer, length uint32) []T {
	if length == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(uintptr(pointer))), length)
}

func textAt(pointer, length uint32) string { return string(listAt[byte](pointer, length)) }

//go:wasmexport cabi_realloc
func cabiRealloc(old, oldSize, align, size uint32) uint32 {
	// Words of eight bytes: aligned for every type.
	memory := make([]uint64, (uint64(size)+7)/8+1)
	if old != 0 {
		copy(cast[byte](memory, int(size)), listAt[byte](old, min(oldSize, size)))
	}
	return at(memory)
}

func forget() { kept = nil }

//go:wasmexport cabi_post_describe
func postDescribe(uint32) { forget() }

//go:wasmexport cabi_post_apply
func postApply(uint32) { forget() }

// parametersAt reads records of eight words: name, case, value.
func parametersAt(pointer, count uint32) []parameter {
	words := listAt[uint32](pointer, count*8)
	parameters := make([]parameter, count)
	for i := range parameters {
		word := words[i*8 : i*8+8]
		parameters[i] = parameter{textAt(word[0], word[1]), parameterValue(word[2]&0xff, word[4:])}
	}
	return parameters
}

func parameterValue(of uint32, word []uint32) any {
	switch of {
	case 0:
		return word[0]&0xff != 0
	case 1:
		return *(*int64)(unsafe.Pointer(&word[0]))
	case 2:
		return *(*float64)(unsafe.Pointer(&word[0]))
	case 3:
		return textAt(word[0], word[1])
	case 4:
		return listAt[int64](word[0], word[1])
	case 5:
		return listAt[float64](word[0], word[1])
	case 6:
		return listAt[Timestamp](word[0], word[1])
	}
	offsets, data := listAt[uint32](word[0], word[1]), listAt[byte](word[2], word[3])
	list := make([]string, len(offsets)-1)
	for i := range list {
		list[i] = string(data[offsets[i]:offsets[i+1]])
	}
	return list
}

const columnWords = 11

// columnsAt reads records of eleven words: case, at most seven of values, whether there is a validity, and it.
func columnsAt(pointer, count uint32, fields []field) []column {
	words := listAt[uint32](pointer, count*columnWords)
	columns := make([]column, count)
	for i := range columns {
		word := words[i*columnWords : (i+1)*columnWords]
		to := &columns[i]
		if i < len(fields) {
			to.kind, to.width = fields[i].kind, fields[i].width
		}
		switch kind(word[0] & 0xff) {
		case boolean:
			to.booleans = listAt[byte](word[1], word[2])
		case int64s, timestamps:
			to.int64s = listAt[int64](word[1], word[2])
		case float64s:
			to.float64s = listAt[float64](word[1], word[2])
		case texts, binaries:
			to.offsets, to.data = listAt[uint32](word[1], word[2]), listAt[byte](word[3], word[4])
		case vectors:
			to.vectors = listAt[float32](word[2], word[3])
		default:
			to.offsets = listAt[uint32](word[1], word[2])
			switch word[3] & 0xff {
			case 0:
				to.int64s = listAt[int64](word[4], word[5])
			case 1:
				to.float64s = listAt[float64](word[4], word[5])
			default:
				to.ends, to.data = listAt[uint32](word[4], word[5]), listAt[byte](word[6], word[7])
			}
		}
		if word[8]&0xff != 0 {
			to.validity = listAt[byte](word[9], word[10])
		}
	}
	return columns
}

func putColumn(word []uint32, from *column) {
	switch from.kind {
	case boolean:
		word[1], word[2] = at(from.booleans), uint32(len(from.booleans))
	case int64s, timestamps:
		word[1], word[2] = at(from.int64s), uint32(len(from.int64s))
	case float64s:
		word[1], word[2] = at(from.float64s), uint32(len(from.float64s))
	case texts, binaries:
		word[1], word[2], word[3], word[4] = at(from.offsets), uint32(len(from.offsets)), at(from.data), uint32(len(from.data))
	case vectors:
		word[1], word[2], word[3] = uint32(from.width), at(from.vectors), uint32(len(from.vectors))
	default:
		word[1], word[2], word[3] = at(from.offsets), uint32(len(from.offsets)), uint32(from.kind-int64Sequences)
		switch from.kind {
		case int64Sequences:
			word[4], word[5] = at(from.int64s), uint32(len(from.int64s))
		case float64Sequences:
			word[4], word[5] = at(from.float64s), uint32(len(from.float64s))
		default:
			word[4], word[5], word[6], word[7] = at(from.ends), uint32(len(from.ends)), at(from.data), uint32(len(from.data))
		}
	}
	word[0] = uint32(min(from.kind, int64Sequences))
	if from.validity != nil {
		word[8], word[9], word[10] = 1, at(from.validity), uint32(len(from.validity))
	}
}

func putText(word []uint32, text string) {
	bytes := []byte(text)
	word[0], word[1] = at(bytes), uint32(len(bytes))
}

func failed(err error) uint32 {
	answer = [7]uint32{1}
	putText(answer[1:], bounded(err.Error()))
	return at(answer[:])
}

func described(fields []field) []uint32 {
	words := make([]uint32, 7*len(fields))
	for i, field := range fields {
		word := words[i*7 : i*7+7]
		putText(word, field.name)
		word[2] = uint32(min(field.kind, int64Sequences))
		if field.kind == vectors {
			word[3] = uint32(field.width)
		}
		if field.kind >= int64Sequences {
			word[3] = uint32(field.kind - int64Sequences)
		}
		if field.nullable {
			word[4] = 1
		}
		putText(word[5:], field.doc)
	}
	return words
}

//go:wasmexport describe
func describe(parameters, count uint32) uint32 {
	transform, err := current()
	if err != nil {
		return failed(err)
	}
	if _, err := transform.settings(parametersAt(parameters, count)); err != nil {
		return failed(err)
	}
	inputs, outputs := described(transform.inputs), described(transform.outputs)
	answer = [7]uint32{0, at(inputs), uint32(len(transform.inputs)), at(outputs), uint32(len(transform.outputs))}
	putText(answer[5:], transform.doc)
	return at(answer[:])
}

//go:wasmexport apply
func apply(parameters, count, rows, inputs, inputCount uint32) uint32 {
	transform, err := current()
	if err != nil {
		return failed(err)
	}
	columns, failures, err := transform.apply(parametersAt(parameters, count), int(rows), columnsAt(inputs, inputCount, transform.inputs))
	if err != nil {
		return failed(err)
	}
	words := make([]uint32, columnWords*len(columns))
	for i := range columns {
		putColumn(words[i*columnWords:], &columns[i])
	}
	rowFailures := make([]uint32, 3*len(failures))
	for i, failure := range failures {
		rowFailures[i*3] = failure.row
		putText(rowFailures[i*3+1:], failure.message)
	}
	answer = [7]uint32{0, at(words), uint32(len(columns)), at(rowFailures), uint32(len(failures))}
	return at(answer[:])
}
