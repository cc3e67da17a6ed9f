//! The quickstart's project at several sizes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::guests::{component, scratch, workspace};

/// Partitions of the input, whatever its size.
pub(crate) const PARTITIONS: usize = 16;

/// A second view, of one cheap feature.
const DISTANCE: &str = r#"
[[feature_view]]
name = "distance"
version = 1
source = "transactions"
entities = ["user"]
component = "transform/haversine_columns.wasm"
inputs = { from_latitude = "home_latitude", from_longitude = "home_longitude", to_latitude = "latitude", to_longitude = "longitude" }
ttl = "3650d"
as_of = "before"
on_error = "fail"
"#;

/// The quickstart's view, and one of one cheap feature, over `rows` transactions in [`PARTITIONS`] files; made where an earlier run has not left it.
pub(crate) fn quickstart(rows: usize) -> Result<PathBuf, Failure> {
    let root = scratch()?.join(format!("quickstart-{rows}"));
    lay_out(&root)?;
    let data = root.join("data/transactions");
    if !data.exists() {
        let making = root.join("data/making");
        generate(&making, rows)?;
        fs::rename(making, data)?;
    }
    Ok(root)
}

/// The quickstart's view and a view that attacks, both to be asked on demand: there is no data.
pub(crate) fn attacked() -> Result<PathBuf, Failure> {
    let root = scratch()?.join("attacked");
    lay_out(&root)?;
    component(&workspace().join("tests/guests/misbehaving"), root.join("transform/misbehaving.wasm"))?;
    fs::write(root.join("features/attacks.toml"), ATTACKS)?;
    Ok(root)
}

/// Definitions and components of the quickstart.
fn lay_out(root: &Path) -> Result<(), Failure> {
    let example = workspace().join("examples/quickstart");
    fs::create_dir_all(root.join("features"))?;
    fs::write(root.join("tandem.toml"), "[project]\nname = \"benches\"\n")?;
    let features = fs::read_to_string(example.join("features/transactions.toml"))?;
    fs::write(root.join("features/transactions.toml"), features + DISTANCE)?;
    component(&example.join("transform"), root.join("transform/quickstart_transform.wasm"))?;
    let distance = workspace().join("benches/guests/haversine_columns");
    component(&distance, root.join("transform/haversine_columns.wasm"))?;
    Ok(())
}

/// A view whose rows say how it is to attack, under the limits that every view has.
const ATTACKS: &str = r#"
[[feature_view]]
name = "attacks"
version = 1
component = "transform/misbehaving.wasm"
"#;

/// Builds and runs the quickstart's own generator.
fn generate(out: &Path, rows: usize) -> Result<(), Failure> {
    // Together with the program, as the quickstart does, so that what they share is compiled once.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = workspace().join("Cargo.toml");
    let mut build = Command::new(cargo);
    build.args(["build", "--release", "-p", "tandem", "-p", "quickstart-generator", "--manifest-path"]).arg(manifest);
    succeed(&mut build)?;
    let generator = std::env::current_exe()?.with_file_name("quickstart-generator");
    let rows_per_day = rows.div_ceil(PARTITIONS).to_string();
    let mut generate = Command::new(generator);
    generate.arg("--out").arg(out).args(["--days", &PARTITIONS.to_string(), "--rows-per-day", &rows_per_day]);
    succeed(&mut generate)
}

fn succeed(command: &mut Command) -> Result<(), Failure> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", command.get_program().display()).into()) }
}
