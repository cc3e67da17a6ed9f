//! wasmtime, set up so that the same bytes give the same bits.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use tandem_core::hash::Digest;
use tandem_core::model::NanMode;
use wasmtime::component::Component as WasmComponent;
use wasmtime::component::types::ComponentItem;
use wasmtime::{Config, Enabled, Inlining, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::aggregate::AggregateComponent;
use crate::cache::{self, Cache, CacheEvent};
use crate::compile;
use crate::component::Component;
use crate::error::EngineError;
use crate::options::{Allocation, CORE_INSTANCES_MAX, EngineOptions, MEMORIES_MAX, TABLES_MAX};
use crate::reuse::Waiting;

/// The contract that this engine speaks, as its package is named in `wit/`.
pub const CONTRACT: &str = "tandem:feature@0.1.0";

/// How often the clock behind `call_seconds_max` ticks, in milliseconds: deadlines are late by so much at most.
const TICK_MILLIS: u64 = 20;

/// A WebAssembly engine: one compile profile for each [`NanMode`], made when first needed. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    options: EngineOptions,
    cache: Option<Cache>,
    waiting: Waiting,
    plain: OnceLock<wasmtime::Engine>,
    strict: OnceLock<wasmtime::Engine>,
    large_plain: OnceLock<wasmtime::Engine>,
    large_strict: OnceLock<wasmtime::Engine>,
    interpreted_plain: OnceLock<wasmtime::Engine>,
    interpreted_strict: OnceLock<wasmtime::Engine>,
    ticker: Ticker,
}

/// Largest component whose functions are inlined into each other, in bytes. Inlining keeps all functions in memory until the last is compiled:
/// for the 18 MB of a component in Python more than 8 GB, instead of less than 1.
const INLINED_BYTES_MAX: usize = 4 << 20;

/// Of all instances that may be alive, the share that may wait for another call: one in so many. The others are for calls.
const WAITING_SHARE: u32 = 4;

/// What carries a component's instructions out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// This one, by machine code.
    Native,
    /// This one, for a component of more than [`INLINED_BYTES_MAX`].
    NativeLarge,
    /// Pulley, wasmtime's interpreter: 12 to 21 times slower, and without the machine code that it is compared with.
    Interpreter,
}

impl Engine {
    /// Sets the engine up and starts its ticking thread, which ends with the last clone.
    ///
    /// # Errors
    ///
    /// Where the machine refuses the address space of the pool, or the cache's folder is not private.
    pub fn new(options: EngineOptions) -> Result<Engine, EngineError> {
        let cache = options.cache.as_deref().map(|folder| Cache::open(folder, options.cache_bytes_max)).transpose()?;
        let engine = Engine {
            shared: Arc::new(Shared {
                waiting: Waiting::new((options.instances_max / WAITING_SHARE) as usize),
                options,
                cache,
                plain: OnceLock::new(),
                strict: OnceLock::new(),
                large_plain: OnceLock::new(),
                large_strict: OnceLock::new(),
                interpreted_plain: OnceLock::new(),
                interpreted_strict: OnceLock::new(),
                ticker: Ticker::start(),
            }),
        };
        engine.profile(NanMode::Boundary, Machine::Native)?; // a machine that cannot run it should say so now
        Ok(engine)
    }

    /// Instances that wait for another call.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.shared.waiting
    }

    /// The options it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.shared.options
    }

    /// Contract version, engine version, flags and target: recorded beside values, not part of their identity.
    pub fn fingerprint(&self) -> String {
        let stack = self.shared.options.stack_bytes_max;
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        format!("{CONTRACT}; wasmtime {WASMTIME}; stack {stack}; relaxed SIMD off; {arch}-{os}")
    }

    /// Loads a component: from the cache of compiled code, or by compiling it (milliseconds for Rust, seconds for Python).
    ///
    /// # Errors
    ///
    /// Bytes that are too many, no component, a component that imports anything or exports another world.
    pub fn load(&self, bytes: &[u8], nan: NanMode) -> Result<Component, EngineError> {
        let machine = if bytes.len() > INLINED_BYTES_MAX { Machine::NativeLarge } else { Machine::Native };
        self.load_for(bytes, nan, machine)
    }

    /// Loads a component for the interpreter, to hold the compiled code against. Never kept on disk: it is needed once for a component.
    pub(crate) fn load_interpreted(&self, bytes: &[u8], nan: NanMode) -> Result<Component, EngineError> {
        self.load_for(bytes, nan, Machine::Interpreter)
    }

    /// Loads a component that computes a function of aggregates, as [`Engine::load`] one that computes rows.
    ///
    /// # Errors
    ///
    /// As [`Engine::load`].
    pub fn load_aggregate(&self, bytes: &[u8], nan: NanMode) -> Result<AggregateComponent, EngineError> {
        let machine = if bytes.len() > INLINED_BYTES_MAX { Machine::NativeLarge } else { Machine::Native };
        let (component, digest, _) = self.compiled(bytes, nan, machine)?;
        AggregateComponent::new(self.clone(), digest, &component)
    }

    /// The same for the interpreter.
    pub(crate) fn load_aggregate_interpreted(
        &self,
        bytes: &[u8],
        nan: NanMode,
    ) -> Result<AggregateComponent, EngineError> {
        let (component, digest, _) = self.compiled(bytes, nan, Machine::Interpreter)?;
        AggregateComponent::new(self.clone(), digest, &component)
    }

    fn load_for(&self, bytes: &[u8], nan: NanMode, machine: Machine) -> Result<Component, EngineError> {
        let (component, digest, event) = self.compiled(bytes, nan, machine)?;
        Component::new(self.clone(), digest, &component, event)
    }

    /// The code of a component that imports nothing.
    fn compiled(
        &self,
        bytes: &[u8],
        nan: NanMode,
        machine: Machine,
    ) -> Result<(WasmComponent, Digest, CacheEvent), EngineError> {
        let max = self.shared.options.component_bytes_max;
        if bytes.len() as u64 > max {
            return Err(EngineError::ComponentTooLarge { bytes: bytes.len() as u64, max });
        }
        check_preamble(bytes)?;
        let engine = self.profile(nan, machine)?;
        let digest = Digest::of(bytes);
        let compile = || {
            let fail = |error: wasmtime::Error| refused(&format!("{error:#}"), self.options());
            let Some(program) = &self.options().compiler else {
                return Ok((WasmComponent::from_binary(engine, bytes).map_err(fail)?, None));
            };
            let code = compile::in_child(program, bytes, nan, machine, self.options())?;
            Ok((cache::load_own_code(engine, &code).map_err(fail)?, Some(code)))
        };
        let (component, event) = match &self.shared.cache {
            Some(cache) if machine != Machine::Interpreter => cache.get_or_compile(engine, digest, nan, compile)?,
            _ => (compile()?.0, CacheEvent::Miss),
        };
        tracing::debug!(%digest, ?event, "component loaded");
        check_imports(engine, &component)?;
        Ok((component, digest, event))
    }

    fn profile(&self, nan: NanMode, machine: Machine) -> Result<&wasmtime::Engine, EngineError> {
        let shared = &self.shared;
        let cell = match (machine, nan) {
            (Machine::Native, NanMode::Boundary) => &shared.plain,
            (Machine::Native, NanMode::Strict) => &shared.strict,
            (Machine::NativeLarge, NanMode::Boundary) => &shared.large_plain,
            (Machine::NativeLarge, NanMode::Strict) => &shared.large_strict,
            (Machine::Interpreter, NanMode::Boundary) => &shared.interpreted_plain,
            (Machine::Interpreter, NanMode::Strict) => &shared.interpreted_strict,
        };
        if let Some(engine) = cell.get() {
            return Ok(engine);
        }
        let start = |error: wasmtime::Error| EngineError::Start(format!("{error:#}"));
        let config = match machine {
            Machine::Native | Machine::NativeLarge => config(&shared.options, nan, machine),
            Machine::Interpreter => compiling(&shared.options, nan, machine)?,
        };
        let engine = wasmtime::Engine::new(&config).map_err(start)?;
        Ok(cell.get_or_init(|| {
            shared.ticker.add(engine.clone());
            engine
        }))
    }
}

/// The target of the interpreter whose pointers are as wide as this machine's.
const INTERPRETER: &str = if cfg!(target_endian = "big") { "pulley64be" } else { "pulley64" };

/// A profile without a pool of instances: for an engine that only compiles, and for the interpreter, whose instances are few and short. The
/// pool changes no code.
pub(crate) fn compiling(options: &EngineOptions, nan: NanMode, machine: Machine) -> Result<Config, EngineError> {
    let options = EngineOptions { allocation: Allocation::OnDemand, ..options.clone() };
    let mut config = config(&options, nan, machine);
    if machine == Machine::Interpreter {
        config.target(INTERPRETER).map_err(|error| EngineError::Start(format!("{error:#}")))?;
    }
    Ok(config)
}

/// Version of the engine; a test holds it against Cargo.lock.
pub(crate) const WASMTIME: &str = "48.0.8";

fn config(options: &EngineOptions, nan: NanMode, machine: Machine) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false) // not even its deterministic form: another engine could differ
        .wasm_memory64(false)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(nan == NanMode::Strict)
        .consume_fuel(true)
        .epoch_interruption(true)
        .concurrency_support(false) // calls are synchronous; a call is three times cheaper without
        .memory_init_cow(true)
        .max_wasm_stack(options.stack_bytes_max as usize)
        .wasm_backtrace_max_frames(None); // components are stripped: frames would say nothing
    if machine == Machine::Native {
        config.compiler_inlining(Inlining::Yes); // changes neither bits nor fuel, only time (docs/performance.md)
    }
    if options.allocation == Allocation::Pooling {
        let instances = options.instances_max;
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            // A count and no memory. A component of an interpreted language has many: Python's has forty, one for each library.
            .total_core_instances(instances.saturating_mul(CORE_INSTANCES_MAX))
            .total_memories(instances.saturating_mul(2))
            .total_tables(instances.saturating_mul(4))
            .max_core_instances_per_component(CORE_INSTANCES_MAX)
            .max_memories_per_component(MEMORIES_MAX)
            .max_memories_per_module(MEMORIES_MAX)
            .max_tables_per_component(TABLES_MAX)
            .max_tables_per_module(TABLES_MAX)
            .max_memory_size(options.instance_memory_bytes_max as usize)
            .table_elements(options.instance_table_elements_max as usize)
            .linear_memory_keep_resident(options.keep_resident_bytes as usize)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Why the compiler refuses a component. What the pool has no room for is told by the limit; its errors have no type, and a test pins their
/// texts (wasmtime is pinned too).
pub(crate) fn refused(error: &str, options: &EngineOptions) -> EngineError {
    let (instances, memories, tables) = (CORE_INSTANCES_MAX.into(), MEMORIES_MAX.into(), TABLES_MAX.into());
    let bytes = options.instance_memory_bytes_max;
    for (before, after, what, limit, max) in [
        ("transitively contains ", " core module instances", "core instances", "core_instances_max", instances),
        ("transitively contains ", " Wasm linear memories", "memories", "memories_max", memories),
        ("transitively contains ", " tables", "tables", "tables_max", tables),
        ("defined memories count of ", " exceeds", "memories in one module", "memories_max", memories),
        ("defined tables count of ", " exceeds", "tables in one module", "tables_max", tables),
        ("minimum byte size of ", " which", "bytes of memory to begin with", "instance_memory_bytes_max", bytes),
    ] {
        let asked = error.split_once(before).and_then(|(_, rest)| rest.split_once(after));
        if let Some(asked) = asked.and_then(|(asked, _)| asked.parse().ok()) {
            return EngineError::TooManyParts { what, asked, limit, max };
        }
    }
    EngineError::Compile(error.to_owned())
}

/// Tells what bytes are before the compiler sees them: its own message for a core module or a text file helps nobody.
fn check_preamble(bytes: &[u8]) -> Result<(), EngineError> {
    let refuse = |found: String, hint| Err(EngineError::NotAComponent { found, hint });
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => refuse(
            "it is a core module".to_owned(),
            "`tandem build` makes the component of a Rust transform; for others see `wasm-tools component new`",
        ),
        [0, b'a', b's', b'm', rest @ ..] => {
            let version = rest.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            refuse(format!("it is WebAssembly of an unknown version ({version})"), "build it with current tools")
        }
        [] => refuse("it is empty".to_owned(), "was the build stopped?"),
        _ => {
            let start = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
            refuse(format!("it starts with {start}, not with 00 61 73 6d"), "is it the right file?")
        }
    }
}

/// Refuses whatever a component imports beyond the contract's own types.
fn check_imports(engine: &wasmtime::Engine, component: &WasmComponent) -> Result<(), EngineError> {
    let (package, version) = CONTRACT.split_once('@').expect("the contract has a version");
    let mut names = Vec::new();
    for (name, item) in component.component_type().imports(engine) {
        let ours = name
            .strip_prefix(package)
            .is_some_and(|rest| rest.starts_with('/') && rest.ends_with(&format!("@{version}")));
        match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                let mut needs = Vec::new();
                for (item_name, item) in instance.exports(engine) {
                    match item.ty {
                        ComponentItem::Type(_) if ours => {}
                        ComponentItem::Type(_) if name.starts_with(package) => {
                            return Err(EngineError::NotATransform { reason: format!("it is built for {name}") });
                        }
                        _ => needs.push(item_name.to_owned()),
                    }
                }
                match needs.as_slice() {
                    [] => {}
                    [one] => names.push(format!("{name} ({one})")),
                    [first, rest @ ..] => names.push(format!("{name} ({first} and {} more)", rest.len())),
                }
            }
            ComponentItem::Type(_) if ours => {}
            _ => names.push(name.to_owned()),
        }
    }
    if names.is_empty() { Ok(()) } else { Err(EngineError::Imports { names }) }
}

/// The thread that advances the epoch of every engine, so that a call can be stopped after its time.
struct Ticker {
    engines: mpsc::Sender<wasmtime::Engine>,
}

impl Ticker {
    fn start() -> Ticker {
        let (sender, receiver) = mpsc::channel::<wasmtime::Engine>();
        let tick = move || {
            let mut engines = Vec::new();
            loop {
                // The sender lives as long as the engine: its end is the thread's.
                match receiver.recv_timeout(Duration::from_millis(TICK_MILLIS)) {
                    Ok(engine) => engines.push(engine),
                    Err(mpsc::RecvTimeoutError::Timeout) => engines.iter().for_each(wasmtime::Engine::increment_epoch),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        thread::Builder::new()
            .name("tandem-ticker".to_owned())
            .spawn(tick)
            .expect("the system gives no thread for the engine's clock");
        Ticker { engines: sender }
    }

    fn add(&self, engine: wasmtime::Engine) {
        let _ = self.engines.send(engine); // the thread ends only with self
    }
}

/// Ticks of the clock in so many seconds.
pub(crate) fn ticks(seconds: u64) -> u64 {
    seconds.saturating_mul(1000).div_ceil(TICK_MILLIS).max(1)
}
