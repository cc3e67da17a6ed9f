;; Row 7 of one failed.
(data (i32.const 204) "\00\02\00\00\01\00\00\00")
(data (i32.const 512) "\07\00\00\00")
