;; It gives up.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) unreachable)
