;; Not one bit of validity for its row.
(data (i32.const 256) "\01\00\00\00\c0\01\00\00\00\00\00\00")
