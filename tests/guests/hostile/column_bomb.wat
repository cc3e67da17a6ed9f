;; A hundred thousand columns, all of nothing, where one was declared.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 80)))
  (i32.store (i32.const 196) (i32.const 1024))
  (i32.store (i32.const 200) (i32.const 100000))
  i32.const 192)
