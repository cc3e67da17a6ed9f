;; A message that would clear the terminal.
(data (i32.const 448) "\1b[2J\07\00")
(data (i32.const 192) "\01\00\00\00\c0\01\00\00\06\00\00\00")
