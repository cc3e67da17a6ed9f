;; The answer lies where no memory is.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) i32.const -16)
