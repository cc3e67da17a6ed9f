;; A page and another page, and whatever the answer is, on it goes.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) (loop $again (drop (memory.grow (i32.const 1))) (br $again)) unreachable)
