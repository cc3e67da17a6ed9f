;; Fifty thousand branches in one function: a megabyte that compiles for a minute. Nobody calls it.
(func (param i64) (result i64)
;; repeat 50000: (if (i32.wrap_i64 (local.get 0)) (then (local.set 0 (i64.add (local.get 0) (i64.const 3)))))
  local.get 0)
