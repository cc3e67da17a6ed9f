;; Two columns where one was declared: the second is the page of zeros behind the first.
(data (i32.const 200) "\02\00\00\00")
