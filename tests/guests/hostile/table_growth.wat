;; A table that grows and grows.
(table $t 1 funcref)
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) (loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)) unreachable)
