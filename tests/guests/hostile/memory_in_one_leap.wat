;; All of 32 bits at once.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32) (drop (memory.grow (i32.const 65535))) i32.const 192)
