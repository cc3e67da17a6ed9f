;; A string that ends at 2^32 - 1.
(data (i32.const 388) "\ff\ff\ff\ff")
