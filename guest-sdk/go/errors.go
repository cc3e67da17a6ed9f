package tandem

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"unicode/utf8"
)

// MessageBytesMax is the longest message of a failed row or call, in bytes; what is longer is cut and ends in `…`.
const MessageBytesMax = 1024

// FieldError is why a row has no value, naming the input at fault: `amount: must not be negative`.
func FieldError(field, format string, arguments ...any) error {
	return errors.New(field + ": " + fmt.Sprintf(format, arguments...))
}

// guarded calls a function; a panic becomes an error with the message and the author's line.
func guarded[O any](compute func() (O, error)) (output O, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			message := fmt.Sprint("panic: ", thrown)
			if wrong, is := thrown.(runtime.Error); is {
				message = wrong.Error()
			}
			tail := ""
			if place := place(); place != "" {
				tail = " (" + place + ")"
			}
			if room := MessageBytesMax - len(tail) - len("…"); len(message) > room {
				message = cut(message, room) + "…"
			}
			err = errors.New(message + tail)
		}
	}()
	return compute()
}

// place is the innermost frame that is neither the runtime's nor this package's: `transform.go:31`.
func place() string {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(1, counters)])
	for {
		frame, more := frames.Next()
		isOwn := !strings.HasPrefix(frame.Function, "runtime.") && !strings.HasPrefix(frame.Function, "tandem.") && frame.Function != ""
		if isOwn {
			return fmt.Sprintf("%s:%d", path.Base(frame.File), frame.Line)
		}
		if !more {
			return ""
		}
	}
}

func cut(text string, bytes int) string {
	for bytes > 0 && !utf8.RuneStart(text[bytes]) {
		bytes--
	}
	return text[:bytes]
}

// bounded is a message within the bound, in UTF-8.
func bounded(message string) string {
	message = strings.ToValidUTF8(message, "\uFFFD")
	if len(message) > MessageBytesMax {
		return cut(message, MessageBytesMax-len("…")) + "…"
	}
	return message
}
