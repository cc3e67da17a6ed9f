;; What Go's runtime and its package os ask of WASI preview 1, whatever the program does, answered without a host. Other functions are not here: a program that calls
;; one (a file, a socket) does not become a component.
;;
;; Nothing of a machine comes in: there are no arguments and no environment, the clock stands still, and what should be random is always the same.
(module
  (import "env" "memory" (memory 0))
  (func $none (param i32 i32) (result i32) (i32.const 0))
  (func $no_sizes (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_get" (func $none))
  (export "args_sizes_get" (func $no_sizes))
  (export "environ_get" (func $none))
  (export "environ_sizes_get" (func $no_sizes))
  ;; One second: 0 is "not started" to Go's scheduler.
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (i64.store (local.get 2) (i64.const 1000000000))
    (i32.const 0))
  (func (export "random_get") (param i32 i32) (result i32)
    (memory.fill (local.get 0) (i32.const 0x5a) (local.get 1))
    (i32.const 0))
  ;; No file is open, not even those that every process has: "bad file descriptor".
  (func (export "fd_write") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func $no_file (param i32 i32) (result i32) (i32.const 8))
  (export "fd_fdstat_get" (func $no_file))
  (export "fd_fdstat_set_flags" (func $no_file))
  (export "fd_prestat_get" (func $no_file))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sched_yield") (result i32) (i32.const 0))
  ;; Nothing will ever happen that could be waited for, and nobody is told how it ended.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "proc_exit") (param i32) unreachable))
