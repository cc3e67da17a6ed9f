;; It calls a function by another type.
(table 1 funcref)
(elem (i32.const 0) $f)
(type $other (func (result i32)))
(func $f (param i64))
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) (call_indirect (type $other) (i32.const 0)))
