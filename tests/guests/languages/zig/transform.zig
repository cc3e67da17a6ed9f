//! A transform in a language without an SDK, on the Canonical ABI itself: `doubled` is twice `x`; a negative `x` fails its row.
//!
//! Structs lie in memory as the Canonical ABI says: members in order, each at a multiple of its alignment; a list or a string is a pointer
//! and a length; a variant is a byte and, behind it, the largest of its cases.

const std = @import("std");

// Memory of one call: what the host lowers, and what we give. Free again after each call.
var memory: [1 << 22]u8 align(16) = undefined;
var used: usize = 0;

fn allocate(size: usize) [*]align(16) u8 {
    const at = used;
    used += (size + 15) & ~@as(usize, 15);
    if (used > memory.len) @trap();
    return @alignCast(memory[at..].ptr);
}

export fn cabi_realloc(old: ?[*]u8, old_size: usize, _: usize, size: usize) [*]u8 {
    const fresh = allocate(size);
    if (old) |bytes| @memcpy(fresh[0..@min(old_size, size)], bytes[0..@min(old_size, size)]);
    return fresh;
}

const Text = extern struct {
    ptr: [*]const u8,
    len: usize,

    fn of(text: []const u8) Text {
        return .{ .ptr = text.ptr, .len = text.len };
    }
};

const Field = extern struct {
    name: Text,
    data_type: u8, // 2: float64
    payload: u32 = 0,
    nullable: bool = false,
    doc: Text,
};

// The case float64s of `values` (28 bytes of payload, since sequences have that), and no validity.
const Column = extern struct {
    case: u8 = 2,
    ptr: [*]const f64,
    len: usize,
    rest: [5]u32 = @splat(0),
    has_validity: bool = false,
    validity: Text = .{ .ptr = undefined, .len = 0 },
};

const Failure = extern struct { row: u32, message: Text };

// result<signature, failure> and result<outcome, failure>: an error would be a message at the place of the first list.
const Signature = extern struct { is_err: bool = false, inputs: [*]const Field, input_count: usize, outputs: [*]const Field, output_count: usize, doc: Text };
const Outcome = extern struct { is_err: bool = false, columns: [*]const Column, column_count: usize, failed: [*]const Failure, failed_count: usize };

comptime {
    if (@sizeOf(Field) != 28 or @sizeOf(Column) != 44 or @sizeOf(Failure) != 12) @compileError("another layout");
}

const inputs = [_]Field{.{ .name = .of("x"), .data_type = 2, .doc = .of("Any number.") }};
const outputs = [_]Field{.{ .name = .of("doubled"), .data_type = 2, .doc = .of("Twice x.") }};
var signature: Signature = undefined;
var outcome: Outcome = undefined;

export fn describe(_: [*]const u8, _: usize) *const Signature {
    signature = .{ .inputs = &inputs, .input_count = 1, .outputs = &outputs, .output_count = 1, .doc = .of("Doubles.") };
    return &signature;
}

export fn apply(_: [*]const u8, _: usize, rows: usize, columns: [*]const Column, _: usize) *const Outcome {
    const x = columns[0].ptr;
    const doubled: [*]f64 = @ptrCast(allocate(rows * @sizeOf(f64)));
    const failed: [*]Failure = @ptrCast(allocate(rows * @sizeOf(Failure)));
    var failed_count: usize = 0;
    for (0..rows) |row| {
        doubled[row] = 2 * x[row];
        if (x[row] < 0) {
            failed[failed_count] = .{ .row = @intCast(row), .message = .of("x: must not be negative") };
            failed_count += 1;
        }
    }
    const column: *Column = @ptrCast(allocate(@sizeOf(Column)));
    column.* = .{ .ptr = doubled, .len = rows };
    outcome = .{ .columns = @ptrCast(column), .column_count = 1, .failed = failed, .failed_count = failed_count };
    return &outcome;
}

fn forget() void {
    used = 0;
}

export fn cabi_post_describe(_: *const Signature) void {
    forget();
}

export fn cabi_post_apply(_: *const Outcome) void {
    forget();
}
