;; It reads what it does not have.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) (i32.load (i32.const -4)))
