;; An output whose name would clear the terminal.
(data (i32.const 448) "\1b[2J\07")
(data (i32.const 128) "\c0\01\00\00\05\00\00\00")
