;; Its inputs shall be written where no memory is.
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const -64)
