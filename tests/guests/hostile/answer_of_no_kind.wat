;; Neither an outcome nor a failure.
(data (i32.const 192) "\07")
