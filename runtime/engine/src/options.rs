//! Limits of the engine, with units and defaults. Limits of a transform are in [`tandem_core::limits`].

use std::path::PathBuf;

/// Core instances that one component may have.
pub const CORE_INSTANCES_MAX: u32 = 64;

/// Memories that one component may have, in all of its core instances.
pub const MEMORIES_MAX: u32 = 16;

/// Tables that one component may have, in all of its core instances.
pub const TABLES_MAX: u32 = 64;

/// How memory for instances is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// A pool reserved ahead: instances cost microseconds. Reserves address space (not memory) for [`EngineOptions::instances_max`].
    Pooling,
    /// Mapped as needed: slower, for processes that are short of address space or that fork.
    OnDemand,
}

/// Options of an [`crate::Engine`].
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How memory for instances is had. Default: pooling.
    pub allocation: Allocation,
    /// Instances alive at the same moment, of all transforms; one more is an error. Default: 128.
    pub instances_max: u32,
    /// Bytes that any instance's memory may have, whatever its view says: the size of a slot of the pool. Default: 4 GiB, all that 32 bits
    /// address.
    pub instance_memory_bytes_max: u64,
    /// Elements that any table may have, whatever its view says. Default: 100,000.
    pub instance_table_elements_max: u32,
    /// Bytes of a slot's memory that stay mapped when its instance ends, so that the next one does not fault them in again. Default: 8 MiB.
    pub keep_resident_bytes: u64,
    /// Bytes of stack that a call may use. The same for every transform, since it decides which recursion traps. Default: 1 MiB. A thread that calls into
    /// transforms needs so much and some more; [`crate::Workers`] have it.
    pub stack_bytes_max: u64,
    /// Bytes of a component; a larger one is refused unread. Default: 64 MiB.
    pub component_bytes_max: u64,
    /// Program that compiles, in a process of its own and under the two limits below: it is called with [`crate::COMPILE_ARGUMENT`] and has to call
    /// [`crate::compile_for_parent`]; it must be this same program. None: this process compiles, for as long and with as much memory as it takes.
    /// Default: none.
    pub compiler: Option<PathBuf>,
    /// Seconds that a component may take to compile. Default: 300; one in Python takes 15 where nothing else runs.
    pub compile_seconds_max: u64,
    /// Bytes of memory that the process that compiles may have. Default: 2 GiB.
    pub compile_memory_bytes_max: u64,
    /// Folder for compiled code, private to this user; none: compile at every start. Default: none.
    pub cache: Option<PathBuf>,
    /// Bytes of compiled code that the folder keeps; what was longest not used is removed when there is more. None: all is kept. Default: none.
    pub cache_bytes_max: Option<u64>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            allocation: Allocation::Pooling,
            instances_max: 128,
            instance_memory_bytes_max: 4 << 30,
            instance_table_elements_max: 100_000,
            keep_resident_bytes: 8 << 20,
            stack_bytes_max: 1 << 20,
            component_bytes_max: 64 << 20,
            compiler: None,
            compile_seconds_max: 300,
            compile_memory_bytes_max: 2 << 30,
            cache: None,
            cache_bytes_max: None,
        }
    }
}
