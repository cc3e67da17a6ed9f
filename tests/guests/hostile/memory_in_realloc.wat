;; Room for eight bytes is a gigabyte.
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (drop (memory.grow (i32.const 16384))) i32.const 4096)
