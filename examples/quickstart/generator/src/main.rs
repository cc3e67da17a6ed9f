//! Makes the quickstart's input: card transactions in hive-partitioned Parquet, one file a day from 2026-01-01 on.
//!
//! The same options give the same bytes, on every run and every machine: each day has its own stream of random numbers,
//! and nothing but the basic operations of IEEE 754 goes into a value (no mathematical library, whose last bits differ
//! between machines).

mod day;
mod parquet_file;
mod places;
mod random;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::day::{Day, Population};

/// Makes card transactions in hive-partitioned Parquet, the same for the same options.
#[derive(Debug, Clone, Parser)]
#[command(version)]
struct Options {
    /// Folder of the partitions `date=YYYY-MM-DD`.
    #[arg(long, default_value = "data/transactions")]
    out: PathBuf,
    /// Days, from 2026-01-01 on.
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
    /// Transactions of a day.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rows_per_day: u32,
    /// Card holders; a few of them make most of the transactions.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// Where the random numbers start.
    #[arg(long, default_value_t = 20_260_101)]
    seed: u64,
}

fn main() -> ExitCode {
    match generate(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // Nobody is left to tell if stderr is closed.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes all days. Files of days that an earlier run made and this one does not are left alone.
fn generate(options: &Options) -> Result<(), parquet_file::WriteError> {
    let population = Population::new(options.users);
    for number in 0..options.days {
        let day = Day::from_number(number);
        let transactions = day.transactions(&population, options.rows_per_day, options.seed);
        let folder = options.out.join(format!("date={}", day.date));
        parquet_file::write(&folder.join("part-0.parquet"), &transactions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn options(out: &Path, seed: u64) -> Options {
        Options { out: out.to_path_buf(), days: 3, rows_per_day: 500, users: 50, seed }
    }

    fn files(out: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(out)
            .unwrap()
            .map(|entry| {
                let folder = entry.unwrap().path();
                let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name()).collect();
                assert_eq!(names, ["part-0.parquet"], "nothing but the file is left");
                (
                    folder.file_name().unwrap().to_str().unwrap().to_owned(),
                    fs::read(folder.join("part-0.parquet")).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn the_same_options_give_the_same_bytes() {
        let (a, b, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        generate(&options(a.path(), 1)).unwrap();
        generate(&options(b.path(), 1)).unwrap();
        generate(&options(b.path(), 1)).unwrap();
        generate(&options(other.path(), 2)).unwrap();
        let names: Vec<_> = files(a.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["date=2026-01-01", "date=2026-01-02", "date=2026-01-03"]);
        assert!(files(a.path()) == files(b.path()));
        assert!(files(a.path()) != files(other.path()));
    }

    #[test]
    fn options_have_bounds() {
        let parse = |arguments: &[&str]| Options::try_parse_from([&["generator"], arguments].concat());
        assert_eq!(parse(&[]).unwrap().rows_per_day, 20_000);
        assert!(parse(&["--days", "0"]).is_err());
        assert!(parse(&["--users", "0"]).is_err());
    }
}
