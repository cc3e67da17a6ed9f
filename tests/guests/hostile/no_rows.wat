;; No row where one was given.
(data (i32.const 232) "\01\00\00\00")
(data (i32.const 240) "\00\00\00\00")
