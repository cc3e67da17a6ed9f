//! Compilation in a process of its own, so that a component made to compile slowly or hugely costs what the limits say, and no more.
//!
//! The parent is [`in_child`]; the child is the same program, which calls [`compile_for_parent`]. The component goes in by stdin; out of
//! stdout come a byte that says what follows, then the code or why there is none. The child limits itself before it reads: data by
//! `RLIMIT_DATA`, which counts what may be written and not what is only reserved; processor time by `RLIMIT_CPU`, for a child whose parent is
//! gone. The parent ends it when its time is over. A child that crashes takes nothing with it.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{fmt, thread};

use rustix::process::{Resource, Rlimit, setrlimit};
use tandem_core::model::NanMode;
use wasmtime::{CodeBuilder, Engine};

use crate::engine::{Machine, compiling};
use crate::error::EngineError;
use crate::options::EngineOptions;

/// The argument by which a program is asked to call [`compile_for_parent`] with the arguments after it.
pub const COMPILE_ARGUMENT: &str = "compile-component";

/// First byte of what the child says: code follows.
const CODE: u8 = 0;
/// First byte of what the child says: why there is no code follows.
const REFUSED: u8 = 1;

/// Of what a child says beside its answer, so much is read.
const WORDS_BYTES_MAX: u64 = 64 << 10;

/// How the words of an allocator begin and end that gets no more memory (`std`, on stderr, before it aborts).
const OUT_OF_MEMORY: (&str, &str) = ("memory allocation of ", " bytes failed");

/// Names by which compile profiles go from parent to child.
const NANS: [(NanMode, &str); 2] = [(NanMode::Boundary, "plain"), (NanMode::Strict, "strict")];
const MACHINES: [(Machine, &str); 3] =
    [(Machine::Native, "native"), (Machine::NativeLarge, "native-large"), (Machine::Interpreter, "interpreter")];

fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(one, _)| one == value).map_or("", |(_, name)| name)
}

/// Compiled code of a component, from a child that is this same program.
pub(crate) fn in_child(
    program: &Path,
    bytes: &[u8],
    nan: NanMode,
    machine: Machine,
    options: &EngineOptions,
) -> Result<Vec<u8>, EngineError> {
    let start = |error: std::io::Error| EngineError::Compiler(format!("{} does not start: {error}", program.display()));
    let numbers = [options.stack_bytes_max, options.compile_seconds_max, options.compile_memory_bytes_max];
    let mut child = Command::new(program)
        .arg0("tandem")
        .args([COMPILE_ARGUMENT, name_of(&NANS, &nan), name_of(&MACHINES, &machine)])
        .args(numbers.map(|number| number.to_string()))
        // Its words are read by this program, not by people.
        .env_remove("TANDEM_LOG")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let answer = talk(&mut child, bytes, options);
    let status = child.wait().map_err(|error| EngineError::Compiler(format!("it is gone: {error}")))?;
    match answer {
        Some(answer) => read_answer(answer, status, options),
        None => Err(too_slow(options)),
    }
}

/// What came from a child.
#[derive(Debug, Default)]
struct Answer {
    stdout: Vec<u8>,
    stderr: String,
}

/// Gives the component, takes the answer, for as long as it may take; None, and the child is killed, when that is over.
fn talk(child: &mut Child, bytes: &[u8], options: &EngineOptions) -> Option<Answer> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Some(Answer::default());
    };
    // A child's answer cannot be larger than its memory.
    let answer_max = options.compile_memory_bytes_max.saturating_add(1);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that ends before it has read everything says why.
            let _ = stdin.write_all(bytes);
            drop(stdin);
            let mut answer = Answer::default();
            let _ = stdout.take(answer_max).read_to_end(&mut answer.stdout);
            let mut words = Vec::new();
            let _ = stderr.take(WORDS_BYTES_MAX).read_to_end(&mut words);
            answer.stderr = String::from_utf8_lossy(&words).into_owned();
            let _ = sender.send(answer);
        });
        let answer = receiver.recv_timeout(Duration::from_secs(options.compile_seconds_max)).ok();
        if answer.is_none() {
            // Its pipes end with it, and the thread with them.
            let _ = child.kill();
        }
        answer
    })
}

fn read_answer(answer: Answer, status: ExitStatus, options: &EngineOptions) -> Result<Vec<u8>, EngineError> {
    let Answer { mut stdout, stderr } = answer;
    if status.success() && !stdout.is_empty() {
        let kind = stdout.remove(0);
        if kind == CODE {
            return Ok(stdout);
        }
        let why = String::from_utf8_lossy(&stdout).into_owned();
        return Err(if why.contains("(os error 12)") {
            too_large("more", options)
        } else {
            crate::engine::refused(&why, options)
        });
    }
    let (before, after) = OUT_OF_MEMORY;
    let asked = stderr.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    if let Some((asked, _)) = asked {
        return Err(too_large(&format!("{asked} bytes more"), options));
    }
    // A thread whose stack finds no room.
    if ["Cannot allocate memory", "Resource temporarily unavailable"].iter().any(|words| stderr.contains(words)) {
        return Err(too_large("more", options));
    }
    Err(match status.signal() {
        Some(SIGXCPU) => too_slow(options),
        Some(SIGKILL) => EngineError::Compiler("it was killed: is the machine short of memory?".to_owned()),
        Some(signal) => EngineError::Compile(format!("the compiler crashed over it (signal {signal})")),
        None => {
            let first = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            EngineError::Compile(format!("the compiler failed over it ({status}): {first}"))
        }
    })
}

const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

fn too_slow(options: &EngineOptions) -> EngineError {
    let max = options.compile_seconds_max;
    EngineError::CompileLimit { limit: "compile_seconds_max", max, asked: format!("not done after {max} seconds") }
}

fn too_large(asked: &str, options: &EngineOptions) -> EngineError {
    let max = options.compile_memory_bytes_max;
    EngineError::CompileLimit { limit: "compile_memory_bytes_max", max, asked: format!("asked for {asked}") }
}

/// Why a child cannot do what it is asked.
#[derive(Debug)]
pub struct CompileFault(String);

impl fmt::Display for CompileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CompileFault {}

/// The child's part: takes the limits that the arguments after [`COMPILE_ARGUMENT`] name, reads a component from `input`, writes its code to
/// `output`. The limits hold for the whole process from then on: it should end after this.
///
/// # Errors
///
/// Arguments of another program, limits that the system refuses, pipes that break. A component that does not compile is an answer.
pub fn compile_for_parent(
    arguments: &[String],
    mut input: impl Read,
    mut output: impl Write,
) -> Result<(), CompileFault> {
    let wrong = || CompileFault("a program compiles only for itself: these are not its arguments".to_owned());
    let [nan, machine, stack, seconds, memory] = arguments else { return Err(wrong()) };
    let (nan, _) = NANS.into_iter().find(|(_, name)| name == nan).ok_or_else(wrong)?;
    let (machine, _) = MACHINES.into_iter().find(|(_, name)| name == machine).ok_or_else(wrong)?;
    let number = |text: &String| text.parse::<u64>().map_err(|_| wrong());
    let options = EngineOptions { stack_bytes_max: number(stack)?, ..EngineOptions::default() };
    limit(number(seconds)?, number(memory)?)?;

    let io = |error: std::io::Error| CompileFault(error.to_string());
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes).map_err(io)?;
    let compiled = compiling(&options, nan, machine).and_then(|config| {
        let engine = Engine::new(&config).map_err(|error| EngineError::Start(format!("{error:#}")))?;
        let code = CodeBuilder::new(&engine)
            .wasm_binary(&bytes[..], None)
            .and_then(|builder| builder.compile_component_serialized());
        Ok(code.map_err(|error| format!("{error:#}")))
    });
    let (kind, answer) = match compiled.map_err(|error| CompileFault(error.to_string()))? {
        Ok(code) => (CODE, code),
        Err(why) => (REFUSED, why.into_bytes()),
    };
    output.write_all(&[kind]).and_then(|()| output.write_all(&answer)).and_then(|()| output.flush()).map_err(io)
}

/// Limits this process.
fn limit(seconds: u64, memory: u64) -> Result<(), CompileFault> {
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    for (resource, max) in [
        (Resource::Data, memory),
        // All threads together; the parent's clock ends it before, where there still is a parent.
        (Resource::Cpu, seconds.saturating_mul(threads).min(u64::MAX / 2) + 1),
        (Resource::Core, 0),
    ] {
        // Processor time beyond the first is told by SIGXCPU, beyond the second by SIGKILL, which others send too.
        let spare = u64::from(resource == Resource::Cpu);
        let both = Rlimit { current: Some(max), maximum: Some(max + spare) };
        // A limit below the one that this process was given stays where it is.
        let given = rustix::process::getrlimit(resource);
        if given.maximum.is_some_and(|given| given <= max) {
            continue;
        }
        setrlimit(resource, both).map_err(|error| CompileFault(format!("{resource:?} is not limited: {error}")))?;
    }
    Ok(())
}
