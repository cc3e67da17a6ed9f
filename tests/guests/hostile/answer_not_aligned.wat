;; The answer lies askew.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) i32.const 193)
