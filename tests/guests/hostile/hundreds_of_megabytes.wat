;; An answer of 600 MB of zeros, which cost it nothing.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32)
  (drop (memory.grow (i32.const 9200)))
  (i32.store (i32.const 388) (i32.const 600000000))
  (i32.store (i32.const 236) (i32.const 1024))
  (i32.store (i32.const 240) (i32.const 600000000))
  i32.const 192)
