;; What every attack begins with, unless it says it itself: one input `x` (int64), one output `y` (string, may be null), no parameters.
;; Memory: 16 names; 64 answer of `describe`; 96 field x; 128 field y; 192 answer of `apply`; 224 column y; from 4096 on what the host writes.
(memory (export "memory") 1)
(data (i32.const 16) "xy")
;; result: ok; inputs (pointer, length), outputs, doc
(data (i32.const 64) "\00\00\00\00" "\60\00\00\00\01\00\00\00" "\80\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
;; field: name (pointer, length), type (case, payload), nullable, doc
(data (i32.const 96) "\10\00\00\00\01\00\00\00" "\01\00\00\00\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00")
(data (i32.const 128) "\11\00\00\00\01\00\00\00" "\04\00\00\00\00\00\00\00" "\01\00\00\00" "\00\00\00\00\00\00\00\00")
;; result: ok; columns (pointer, length), failed rows
(data (i32.const 192) "\00\00\00\00" "\e0\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00")
;; column: values (case 4: strings; offsets, data: pointer, length), 12 bytes of other cases, validity (none)
(data (i32.const 224) "\04\00\00\00" "\80\01\00\00\02\00\00\00" "\c0\01\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00")
;; offsets 0, 1 of one row, and its byte
(data (i32.const 384) "\00\00\00\00\01\00\00\00")
(data (i32.const 448) "a")
