package tandem

import "time"

// Timestamp is microseconds since 1970-01-01T00:00:00Z. There is no now: the instant for which a value is asked is the input as_of.
type Timestamp int64

// TimestampOf is the instant of a time, in whole microseconds.
func TimestampOf(instant time.Time) Timestamp { return Timestamp(instant.UnixMicro()) }

// Time is the instant in UTC.
func (instant Timestamp) Time() time.Time { return time.UnixMicro(int64(instant)).UTC() }

// String is RFC 3339.
func (instant Timestamp) String() string { return instant.Time().Format(time.RFC3339Nano) }
