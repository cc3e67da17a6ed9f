;; It never comes to life.
(func $start (loop $again (br $again)))
(start $start)
