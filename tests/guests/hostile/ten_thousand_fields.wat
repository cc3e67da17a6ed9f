;; Ten thousand outputs, all the same.
(func (export "describe") (param i32 i32) (result i32)
  (local $i i32)
  (drop (memory.grow (i32.const 8)))
  (loop $more
    (memory.copy (i32.add (i32.const 8192) (i32.mul (local.get $i) (i32.const 28))) (i32.const 128) (i32.const 28))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $more (i32.lt_u (local.get $i) (i32.const 10000))))
  (i32.store (i32.const 76) (i32.const 8192))
  (i32.store (i32.const 80) (i32.const 10000))
  i32.const 64)
