;; Its bytes begin at the end of memory.
(data (i32.const 236) "\ff\ff\00\00\00\00\00\01")
