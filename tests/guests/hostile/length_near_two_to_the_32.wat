;; 2^32 - 1 offsets.
(data (i32.const 232) "\ff\ff\ff\ff")
