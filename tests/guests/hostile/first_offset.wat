;; A string that begins before it does.
(data (i32.const 384) "\01\00\00\00")
