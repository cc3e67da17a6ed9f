module tandem

go 1.24
