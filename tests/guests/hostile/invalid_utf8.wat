;; A string that is none.
(data (i32.const 448) "\ff")
