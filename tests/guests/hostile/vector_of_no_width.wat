;; Vectors of 2^32 - 1 values.
(data (i32.const 136) "\06\00\00\00\ff\ff\ff\ff")
