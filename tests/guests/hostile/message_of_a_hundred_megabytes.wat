;; An error message of 100 MB of zeros.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 1600)))
  (i32.store (i32.const 192) (i32.const 1))
  (i32.store (i32.const 196) (i32.const 1024))
  (i32.store (i32.const 200) (i32.const 100000000))
  i32.const 192)
