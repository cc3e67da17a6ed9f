;; A null, though it promised that there is none.
(data (i32.const 144) "\00")
(data (i32.const 256) "\01\00\00\00\00\02\00\00\01\00\00\00")
