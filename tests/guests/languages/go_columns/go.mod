module every_type

go 1.24

require tandem v0.0.0

replace tandem => ../../../../guest-sdk/go
