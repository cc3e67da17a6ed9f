;; Products without end in one function: the compiler keeps hundreds of bytes for each byte of them. Nobody calls it.
(func (param i64) (result i64)
;; repeat 250000: (local.set 0 (i64.mul (local.get 0) (local.get 0)))
  local.get 0)
