//! Errors of the engine.

use std::path::PathBuf;

use tandem_core::types::SignatureError;

use crate::call::CallError;
use crate::transform::RowFailure;

/// What can go wrong between a component's bytes and the values it computes.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine could not be set up on this machine.
    #[error(
        "the WebAssembly engine does not start: {0}; hint: where address space is limited, set a lower `engine.instances_max`"
    )]
    Start(String),
    /// Bytes that are no component.
    #[error("not a WebAssembly component: {found}; hint: {hint}")]
    NotAComponent {
        /// What they are instead.
        found: String,
        /// What to do.
        hint: &'static str,
    },
    /// A component over the limit.
    #[error("the component has {bytes} bytes; the limit component_bytes_max is {max}")]
    ComponentTooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A component that imports something.
    #[error("the component imports {}; a transform imports nothing, so that it can neither read a clock nor leave a trace. hint: build Rust for wasm32-unknown-unknown (`tandem build`), other languages with WASI stubbed out", .names.join(", "))]
    Imports {
        /// What it imports.
        names: Vec<String>,
    },
    /// A component of another world or contract version.
    #[error("the component does not export `describe` and `apply` of {}: {reason}", crate::CONTRACT)]
    NotATransform {
        /// The first difference.
        reason: String,
    },
    /// A component of another world or contract version, where a function of aggregates is needed.
    #[error("the component does not export the interface `aggregation` of {}: {reason}", crate::CONTRACT)]
    NotAnAggregate {
        /// The first difference.
        reason: String,
    },
    /// A call of a function of aggregates failed.
    #[error("`{call}` failed: {source}")]
    Aggregate {
        /// The call.
        call: &'static str,
        /// Why.
        source: CallError,
    },
    /// A component of too many parts.
    #[error("the component has {asked} {what}; the limit {limit} is {max}")]
    TooManyParts {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        asked: u64,
        /// The limit's name.
        limit: &'static str,
        /// The limit.
        max: u64,
    },
    /// A component that takes too long or too much to compile.
    #[error("the component does not compile within the limit {limit} of {max}: {asked}")]
    CompileLimit {
        /// The limit's name.
        limit: &'static str,
        /// The limit.
        max: u64,
        /// How far it got.
        asked: String,
    },
    /// The process that compiles does not do its work: nothing that the component did.
    #[error("the compiler's process: {0}")]
    Compiler(String),
    /// Code that the compiler refuses.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// An instance could not be made.
    #[error("the component does not start: {0}")]
    Instantiate(CallError),
    /// All slots of the pool are taken.
    #[error("all {max} instances are in use; the limit is instances_max")]
    InstancesExhausted {
        /// The limit.
        max: u32,
    },
    /// As many requests wait for a call of the transform as may.
    #[error("{max} requests wait for a call of the transform already")]
    QueueFull {
        /// The limit.
        max: usize,
    },
    /// A transform whose calls keep failing.
    #[error("the last {failures} calls failed one after the other; it is called again in {seconds} s")]
    CircuitOpen {
        /// So many failed.
        failures: u32,
        /// When it is tried again, in seconds from now, rounded up.
        seconds: u64,
    },
    /// `describe` failed.
    #[error("`describe` failed: {0}")]
    Describe(CallError),
    /// `describe` answered with a signature that cannot be.
    #[error("`describe` gives a signature that is refused: {0}")]
    Signature(#[from] SignatureError),
    /// Too many fields.
    #[error("`describe` gives {fields} inputs and outputs; the limit fields_max is {max}")]
    TooManyFields {
        /// Inputs and outputs together.
        fields: u64,
        /// The limit.
        max: u64,
    },
    /// Columns that are not those of the signature: a mistake of the caller, not of the data.
    #[error("the columns do not fit the signature: {0}")]
    Inputs(String),
    /// More rows failed than may.
    #[error("{} rows of the batch failed, then the limit failed_rows_max of {max} was reached; row {}: {}", .failures.len(), .failures[0].row, .failures[0].message)]
    TooManyFailures {
        /// The rows found at fault so far, at least one.
        failures: Vec<RowFailure>,
        /// The limit.
        max: u64,
    },
    /// Columns too large for Arrow's 32-bit offsets, or the like.
    #[error("arrow: {0}")]
    Arrow(String),
    /// The folder for compiled code cannot be used.
    #[error("compiled code cannot be kept in {}: {reason}", .path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        reason: String,
        /// The system's error, where it was one.
        source: Option<std::io::Error>,
    },
    /// Golden vectors that cannot be replayed.
    #[error("the golden vectors cannot be replayed: {0}")]
    Golden(String),
    /// A worker thread is gone.
    #[error("a worker thread panicked: {0}")]
    Worker(#[from] crate::workers::WorkerPanic),
}

impl EngineError {
    /// What to do about it, where the message itself has no hint.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            EngineError::Compile(_) => "if the file was cut, make it again: `tandem build`",
            EngineError::NotATransform { .. } => {
                "a transform is a crate that depends on `tandem-sdk`, made by `tandem build`; `tandem new` begins one"
            }
            EngineError::Instantiate(CallError::Limit { .. }) => {
                "the limits are in `[feature_view.limits]` of the view; a transform should do next to nothing before it is called"
            }
            EngineError::CompileLimit { limit: "compile_seconds_max", .. } => {
                "a transform compiles in seconds at most; if this one may take longer, raise `engine.compile_seconds_max` in tandem.toml"
            }
            EngineError::CompileLimit { .. } => {
                "a transform compiles in some hundred megabytes; if this one may take more, raise `engine.compile_memory_bytes_max` in tandem.toml"
            }
            EngineError::Compiler(_) => {
                "is there room for another process, in memory and in the number that this user may have?"
            }
            EngineError::ComponentTooLarge { .. } => "raise `engine.component_bytes_max` in tandem.toml",
            EngineError::TooManyFields { .. } => "raise `fields_max` in `[feature_view.limits]` of the view",
            _ => return None,
        })
    }
}
