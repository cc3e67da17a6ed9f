;; Integers where strings were declared.
(data (i32.const 224) "\01\00\00\00\80\01\00\00\01\00\00\00")
