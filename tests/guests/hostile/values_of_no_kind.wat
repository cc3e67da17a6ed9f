;; A column of a type that the contract does not have.
(data (i32.const 224) "\63")
