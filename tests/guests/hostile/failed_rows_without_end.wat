;; Three hundred million failed rows: more than its memory has room for.
(func (export "apply") (param i32 i32 i32 i32 i32) (result i32)
  (i32.store (i32.const 204) (i32.const 512))
  (i32.store (i32.const 208) (i32.const 300000000))
  i32.const 192)
