;; Before anything was asked of it.
(func $start (drop (memory.grow (i32.const 30000))))
(start $start)
