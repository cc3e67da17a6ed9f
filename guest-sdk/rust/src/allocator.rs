//! Memory of a component: an arena that is there from the start, and the standard allocator beyond it.
//!
//! The standard allocator begins with nothing and has memory grow, even for one row. The runtime then changes the protection of pages, and again
//! when the instance ends, which is a large part of what a fresh instance costs: processors interrupt each other for it. An arena within the
//! memory that every instance begins with costs nothing until it is touched.
//!
//! It is a stack that is rarely popped: what is freed last to first is used again, and all of it once nothing in it is live, as between two
//! calls.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// Bytes of the arena: room for a call of 65,536 rows with some columns. Untouched, it is address space and no memory.
const ARENA_BYTES: usize = 4 << 20;

#[global_allocator]
static MEMORY: Memory =
    Memory { arena: UnsafeCell::new(Arena([0; ARENA_BYTES])), top: Cell::new(0), live: Cell::new(0) };

#[repr(C, align(16))]
struct Arena([u8; ARENA_BYTES]);

struct Memory {
    arena: UnsafeCell<Arena>,
    /// Bytes from the arena's start that are or were handed out.
    top: Cell<usize>,
    /// Allocations in the arena.
    live: Cell<usize>,
}

// SAFETY: a component has one thread: the runtime compiles it without the threads proposal.
unsafe impl Sync for Memory {}

impl Memory {
    fn start(&self) -> usize {
        self.arena.get() as usize
    }

    fn holds(&self, pointer: *mut u8) -> bool {
        (pointer as usize).wrapping_sub(self.start()) < ARENA_BYTES
    }

    /// Offset of the byte after an allocation.
    fn end(&self, pointer: *mut u8, bytes: usize) -> usize {
        pointer as usize - self.start() + bytes
    }
}

// SAFETY: an allocation of the arena lies between `top` of before and of after, so no two that are live overlap; `top` goes back only over
// what is freed, or to the start when nothing is live. Everything else is the standard allocator's, told apart by address.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.start();
        let from = (start + self.top.get()).next_multiple_of(layout.align()) - start;
        match from.checked_add(layout.size()).filter(|end| *end <= ARENA_BYTES) {
            Some(end) => {
                self.top.set(end);
                self.live.set(self.live.get() + 1);
                // SAFETY: `from` lies within the arena.
                unsafe { self.arena.get().cast::<u8>().add(from) }
            }
            // SAFETY: the caller's promises are those that the standard allocator asks for.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.holds(pointer) {
            // SAFETY: it came from the standard allocator, with this layout.
            return unsafe { System.dealloc(pointer, layout) };
        }
        self.live.set(self.live.get() - 1);
        let end = self.end(pointer, layout.size());
        if self.live.get() == 0 {
            self.top.set(0);
        } else if end == self.top.get() {
            self.top.set(end - layout.size());
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if !self.holds(pointer) {
            // SAFETY: it came from the standard allocator, with this layout.
            return unsafe { System.realloc(pointer, layout, bytes) };
        }
        // The last one grows and shrinks where it is.
        let end = self.end(pointer, layout.size());
        let wanted = end - layout.size() + bytes;
        if bytes <= layout.size() || (end == self.top.get() && wanted <= ARENA_BYTES) {
            if end == self.top.get() {
                self.top.set(wanted);
            }
            return pointer;
        }
        // SAFETY: the caller promises a size that does not overflow with this alignment; the two allocations do not overlap, and the old one
        // has `layout.size()` bytes, which are fewer than the new one's.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(pointer, layout.size());
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}
