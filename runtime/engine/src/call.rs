//! Why one call into a transform failed. Every kind can be one row's fault, so each leads to division of the batch.

use std::fmt;

use wasmtime::Trap;

use crate::instance::LimitHit;
use crate::options::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};

/// The limits that a call can cross, by the names they have in definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitName {
    /// `fuel_base` and `fuel_per_row`.
    Fuel,
    /// `call_seconds_max`.
    CallSeconds,
    /// `memory_bytes_max`.
    MemoryBytes,
    /// `table_elements_max`.
    TableElements,
    /// `stack_bytes_max`.
    StackBytes,
    /// `output_bytes_max`.
    OutputBytes,
    /// `core_instances_max`.
    CoreInstances,
    /// `memories_max`.
    Memories,
    /// `tables_max`.
    Tables,
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LimitName::Fuel => "fuel (fuel_base + rows × fuel_per_row)",
            LimitName::CallSeconds => "call_seconds_max",
            LimitName::MemoryBytes => "memory_bytes_max",
            LimitName::TableElements => "table_elements_max",
            LimitName::StackBytes => "stack_bytes_max",
            LimitName::OutputBytes => "output_bytes_max",
            LimitName::CoreInstances => "core_instances_max",
            LimitName::Memories => "memories_max",
            LimitName::Tables => "tables_max",
        })
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A limit was crossed.
    #[error("crossed the limit {limit} of {max}{}", .asked.map(|asked| format!(": asked for {asked}")).unwrap_or_default())]
    Limit {
        /// Which.
        limit: LimitName,
        /// Its value.
        max: u64,
        /// What was asked for, where that is known.
        asked: Option<u64>,
    },
    /// The guest trapped; a panic of the author's code ends here too.
    #[error("trapped: {0}")]
    Trap(String),
    /// The transform refused the call and said why.
    #[error("{0}")]
    Failure(String),
    /// What came back breaks the contract.
    #[error("broke the contract: {0}")]
    Violation(String),
}

impl CallError {
    /// Sorts an error of wasmtime. `fuel`, `seconds`, `stack` and `output` are the limits that the call had.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error, fuel: u64, seconds: u64, stack: u64, output: u64) -> Self {
        if let Some(hit) = error.downcast_ref::<LimitHit>() {
            return CallError::Limit { limit: hit.limit, max: hit.max, asked: Some(hit.asked) };
        }
        let limit = |limit, max| CallError::Limit { limit, max, asked: None };
        match error.downcast_ref::<Trap>() {
            Some(Trap::OutOfFuel) => limit(LimitName::Fuel, fuel),
            Some(Trap::Interrupt) => limit(LimitName::CallSeconds, seconds),
            Some(Trap::StackOverflow) => limit(LimitName::StackBytes, stack),
            Some(Trap::UnreachableCodeReached) => {
                CallError::Trap("unreachable code reached, which is how a panic or an abort ends".to_owned())
            }
            Some(trap) => CallError::Trap(trap.to_string()),
            // The engine's type for this is private; a test pins the text (wasmtime is pinned too).
            None if error.root_cause().to_string().contains("fuel allocated for hostcalls has been exhausted") => {
                limit(LimitName::OutputBytes, output)
            }
            None => {
                too_many(&error.root_cause().to_string()).unwrap_or_else(|| CallError::Violation(format!("{error:#}")))
            }
        }
    }
}

/// More instances, memories or tables than a store may have; told by a text alone, which a test pins.
fn too_many(error: &str) -> Option<CallError> {
    let (what, asked) = error.strip_prefix("resource limit exceeded: ")?.split_once(" count too high at ")?;
    let (limit, max) = match what {
        "instance" => (LimitName::CoreInstances, CORE_INSTANCES_MAX),
        "memory" => (LimitName::Memories, MEMORIES_MAX),
        "table" => (LimitName::Tables, TABLES_MAX),
        _ => return None,
    };
    Some(CallError::Limit { limit, max: max.into(), asked: asked.parse().ok() })
}
