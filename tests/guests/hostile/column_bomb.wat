;; A hundred million columns, all in a page and a half of zeros.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 196) (i32.const 512))
  (i32.store (i32.const 200) (i32.const 100000000))
  i32.const 192)
