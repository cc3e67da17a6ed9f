;; Lists of numbers as lists of bytes, and back. Both forms of the contract lie in memory in the same way, but for the lengths of lists: so
;; columns are handed over where they lie, and only lengths are rewritten. The module has a memory of its own, which is free again after each
;; call.
;;
;; Sizes and places are those of the Canonical ABI; `bytes.rs` checks that a component is made of it.
(module
  (import "tandem:bytes/calls@0.1.0" "describe" (func $describe (param i32 i32 i32)))
  (import "tandem:bytes/calls@0.1.0" "apply" (func $apply (param i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  ;; The first free byte; below it, at 16, is the area of results.
  (global $free (mut i32) (i32.const 64))

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32) (local $end i64) (local $have i64)
    (local.set $at (global.get $free))
    (local.set $end (i64.and
      (i64.add (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size))) (i64.const 15))
      (i64.const -16)))
    (local.set $have (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16)))
    (if (i64.gt_u (local.get $end) (local.get $have))
      (then
        (if (i64.gt_u (local.get $end) (i64.const 0xffff0000)) (then unreachable))
        (if (i32.eq
              (memory.grow (i32.wrap_i64 (i64.shr_u (i64.add (i64.sub (local.get $end) (local.get $have)) (i64.const 65535)) (i64.const 16))))
              (i32.const -1))
          (then unreachable))))
    (global.set $free (i32.wrap_i64 (local.get $end)))
    (if (local.get $old)
      (then (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old_size) (local.get $size) (i32.lt_u (local.get $old_size) (local.get $size))))))
    (local.get $at))

  ;; The length at $at, in bytes instead of items of 1 << $shift bytes.
  (func $widen (param $at i32) (param $shift i32)
    (i32.store (local.get $at) (i32.shl (i32.load (local.get $at)) (local.get $shift))))

  ;; The length at $at, in items instead of bytes. Bytes that are no whole number of items are a mistake of the SDK.
  (func $narrow (param $at i32) (param $shift i32)
    (local $bytes i32)
    (local.set $bytes (i32.load (local.get $at)))
    (if (i32.and (local.get $bytes) (i32.sub (i32.shl (i32.const 1) (local.get $shift)) (i32.const 1))) (then unreachable))
    (i32.store (local.get $at) (i32.shr_u (local.get $bytes) (local.get $shift))))

  (type $change (func (param i32 i32)))
  (table funcref (elem $widen $narrow))

  ;; Changes the lengths in $count columns (44 bytes each).
  (func $columns (param $at i32) (param $count i32) (param $how i32)
    (local $case i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $case (i32.load8_u (local.get $at)))
        ;; int64s, float64s, timestamps
        (if (i32.and (i32.ge_u (local.get $case) (i32.const 1)) (i32.le_u (local.get $case) (i32.const 3)))
          (then (call_indirect (type $change) (i32.add (local.get $at) (i32.const 8)) (i32.const 3) (local.get $how))))
        ;; strings, binaries: offsets
        (if (i32.and (i32.ge_u (local.get $case) (i32.const 4)) (i32.le_u (local.get $case) (i32.const 5)))
          (then (call_indirect (type $change) (i32.add (local.get $at) (i32.const 8)) (i32.const 2) (local.get $how))))
        ;; vectors: data, behind the width
        (if (i32.eq (local.get $case) (i32.const 6))
          (then (call_indirect (type $change) (i32.add (local.get $at) (i32.const 12)) (i32.const 2) (local.get $how))))
        ;; sequences: offsets, then items: numbers, or the offsets of strings
        (if (i32.eq (local.get $case) (i32.const 7))
          (then
            (call_indirect (type $change) (i32.add (local.get $at) (i32.const 8)) (i32.const 2) (local.get $how))
            (call_indirect (type $change) (i32.add (local.get $at) (i32.const 20))
              (select (i32.const 2) (i32.const 3) (i32.eq (i32.load8_u offset=12 (local.get $at)) (i32.const 2)))
              (local.get $how))))
        (local.set $at (i32.add (local.get $at) (i32.const 44)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))

  ;; Parameters (32 bytes each: name at 0, case at 8, value at 16).
  (func $parameters (param $at i32) (param $count i32)
    (local $case i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $case (i32.load8_u offset=8 (local.get $at)))
        ;; int64: the number moves to the end of the record, which it leaves free, and its place says where it is
        (if (i32.eq (local.get $case) (i32.const 1))
          (then
            (i64.store offset=24 (local.get $at) (i64.load offset=16 (local.get $at)))
            (i32.store offset=16 (local.get $at) (i32.add (local.get $at) (i32.const 24)))
            (i32.store offset=20 (local.get $at) (i32.const 8))))
        ;; int64s, float64s, timestamps
        (if (i32.and (i32.ge_u (local.get $case) (i32.const 4)) (i32.le_u (local.get $case) (i32.const 6)))
          (then (call $widen (i32.add (local.get $at) (i32.const 20)) (i32.const 3))))
        ;; texts: offsets
        (if (i32.eq (local.get $case) (i32.const 7))
          (then (call $widen (i32.add (local.get $at) (i32.const 20)) (i32.const 2))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next))))

  (func (export "describe") (param $parameters i32) (param $count i32) (result i32)
    (call $parameters (local.get $parameters) (local.get $count))
    (call $describe (local.get $parameters) (local.get $count) (i32.const 16))
    (i32.const 16))

  (func (export "apply") (param $parameters i32) (param $count i32) (param $rows i32) (param $inputs i32) (param $columns i32) (result i32)
    (call $parameters (local.get $parameters) (local.get $count))
    (call $columns (local.get $inputs) (local.get $columns) (i32.const 0))
    (call $apply (local.get $parameters) (local.get $count) (local.get $rows) (local.get $inputs) (local.get $columns) (i32.const 16))
    (if (i32.eqz (i32.load8_u (i32.const 16)))
      (then (call $columns (i32.load (i32.const 20)) (i32.load (i32.const 24)) (i32.const 1))))
    (i32.const 16))

  (func $forget (param i32) (global.set $free (i32.const 64)))
  (export "cabi_post_describe" (func $forget))
  (export "cabi_post_apply" (func $forget)))
