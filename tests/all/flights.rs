//! The example `flights` on real data: 20,000 departures of 2001.
//!
//! The data is not in this repository. It is looked for in a folder beside the workspace, or where `TANDEM_FLIGHTS_DATA` says; where it is
//! not, generated rows of the same shape stand in, and the test says so.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tandem::parity::{self, Format};
use tandem::project::Opened;
use tandem_core::time::{Day, Timestamp};
use tandem_offline::BatchOptions;

use crate::harness::guests::{component, workspace};
use crate::harness::program::{PROGRAM, isolated, tandem, tandem_registered, told};
use crate::harness::project::{MICROS_PER_DAY, NOW, batch, published, runtime};
use crate::harness::server::Server;
use crate::harness::tools::{python_with, run};

/// Beside the workspace's folder.
const DATA: &str = "../shared/data/flights";

/// 2001-01-01.
const FIRST_DAY: i64 = 978_307_200_000_000 / MICROS_PER_DAY;

const MILES_PER_KM: f64 = 1.0 / 1.609_344;

#[test]
fn routes_of_real_flights() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let example = workspace().join("examples/flights");
    fs::create_dir_all(root.join("transform")).unwrap();
    fs::create_dir_all(root.join("features")).unwrap();
    fs::create_dir_all(root.join("data")).unwrap();
    for file in ["tandem.toml", "features/routes.toml"] {
        fs::copy(example.join(file), root.join(file)).unwrap();
    }
    fs::copy(component(&example.join("transform")), root.join("transform/flights_transform.wasm")).unwrap();
    let airports = airports(&root.join("features/routes.toml"));
    let real = data();
    flights_into(root, real.as_deref(), &airports);

    let source = source(&root.join("data/flights"));
    let opened = Opened::open(root).unwrap_or_else(|error| panic!("{error}"));
    let view = opened.view("route_delay").unwrap_or_else(|error| panic!("{error}"));
    let offline_root = root.join("published");
    let report = batch(&view, &offline_root, 2, BatchOptions::default());
    let rows = report.rows();
    let known = |flight: &Flight| airports.contains_key(&flight.origin) && airports.contains_key(&flight.destination);
    let quarantined = source.iter().filter(|flight| !known(flight)).count();
    assert_eq!((rows.rows_in, rows.quarantined), (source.len() as u64, quarantined as u64));
    assert_eq!(rows.rows_out, rows.rows_in - rows.quarantined);
    assert_eq!((rows.misplaced, rows.null_keys, rows.quarantined_future), (0, 0, 0));
    if real.is_some() {
        assert_eq!((report.partitions.len(), source.len(), quarantined), (90, 20_000, 0));
    }
    let kept: Vec<&Flight> = source.iter().filter(|flight| known(flight)).collect();
    features_are_those_of_the_flights(&published(&view, &offline_root), &kept);

    let server = Server::start(&opened, &view, None);
    for format in [Format::Json, Format::Arrow] {
        let request = parity::Request {
            view: Arc::clone(&view.bound),
            offline_root: offline_root.clone(),
            range: None,
            sample: Some(2_000),
            event_time_max: NOW,
        };
        let client = Arc::new(parity::Server::new(server.client(), format));
        let report = runtime().block_on(parity::run(request, client, &opened.workers, |_| {})).unwrap();
        assert_eq!(report.different(), 0, "{:?}", report.differences.len());
        assert!(report.rows >= 500.min(kept.len() as u64) && report.compared() == report.rows * 6, "{}", report.rows);
    }
}

#[test]
fn every_flight_gets_the_mean_delay_of_the_departures_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let example = workspace().join("examples/flights");
    fs::create_dir(root.join("features")).unwrap();
    fs::create_dir(root.join("data")).unwrap();
    for file in ["tandem.toml", "features/airports.toml", "validate.py"] {
        fs::copy(example.join(file), root.join(file)).unwrap();
    }
    let real = data();
    flights_into(root, real.as_deref(), &airports(&example.join("features/routes.toml")));
    told(tandem_registered(root, &["apply", "--by", "tests"]), 0);
    let mut script = Command::new(python_with("asof", "requirements-asof.txt"));
    script.args(["-W", "ignore"]).arg(root.join("validate.py")).env("TANDEM", PROGRAM);
    let said = run(&mut isolated(script));
    for what in ["pandas, mean delay", "pandas, departures", "DuckDB, mean delay", "DuckDB, departures"] {
        let line = said.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{what}\n{said}"));
        let flights = if real.is_some() { "20,000 flights, 220 without" } else { "1,200 flights, " };
        assert!(line.contains(flights) && line.ends_with("all equal"), "{line}");
    }
}

#[test]
fn every_flight_gets_the_delays_of_the_hours_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let example = workspace().join("examples/flights");
    fs::create_dir(root.join("features")).unwrap();
    fs::create_dir(root.join("data")).unwrap();
    for file in ["tandem.toml", "features/airports.toml", "features/routes.toml", "features/origins.toml"] {
        fs::copy(example.join(file), root.join(file)).unwrap();
    }
    let real = data();
    flights_into(root, real.as_deref(), &airports(&example.join("features/routes.toml")));
    let flights = source(&root.join("data/flights"));
    let labels: String =
        flights.iter().map(|flight| format!("{},{}\n", flight.origin, Timestamp(flight.departed_at))).collect();
    fs::write(root.join("flights.csv"), format!("origin,departed_at\n{labels}")).unwrap();
    let set = ["training-set", "--labels", "flights.csv", "--time", "departed_at", "--features", "origin_delays"];
    told(tandem(root, &[&set[..], &["--out", "delays.parquet"]].concat()), 0);
    let windows = [("6h", 6_i64), ("1d", 24), ("7d", 168)];
    let names: Vec<String> = windows
        .iter()
        .flat_map(|(name, _)| {
            ["departures", "late_departures", "late_share", "delay_mean", "delay_p90"]
                .map(|kind| format!("{kind}_{name}"))
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = crate::columns::read(root, "delays.parquet", &names);
    assert_eq!(rows.len(), flights.len());
    let mut by_origin: BTreeMap<&str, Vec<&Flight>> = BTreeMap::new();
    flights.iter().for_each(|flight| by_origin.entry(&flight.origin).or_default().push(flight));
    let mut with_some = 0;
    for (row, flight) in rows.iter().zip(&flights) {
        for (place, (_, hours)) in windows.iter().enumerate() {
            let start = flight.departed_at - hours * 3_600_000_000;
            let inside = by_origin[&flight.origin[..]].iter();
            let mut delays: Vec<i64> = inside
                .filter(|other| (start..flight.departed_at).contains(&other.departed_at))
                .map(|other| other.delay_minutes)
                .collect();
            delays.sort_unstable();
            let late = delays.iter().filter(|delay| **delay >= 15).count();
            assert_eq!(
                (row[5 * place].as_u64(), row[5 * place + 1].as_u64()),
                (Some(delays.len() as u64), Some(late as u64))
            );
            let [share, mean, p90] = [2, 3, 4].map(|column| row[5 * place + column].as_f64());
            if delays.is_empty() {
                assert_eq!((share, mean, p90), (None, None, None));
                continue;
            }
            with_some += 1;
            assert_eq!(share, Some(late as f64 / delays.len() as f64));
            assert_eq!(mean, Some(delays.iter().sum::<i64>() as f64 / delays.len() as f64));
            let exact = delays[(0.9 * (delays.len() - 1) as f64) as usize] as f64;
            assert!((p90.unwrap() - exact).abs() <= exact.abs() / 128.0, "{p90:?} for {exact}");
        }
    }
    assert!(with_some > flights.len(), "{with_some}");

    // Online the same.
    told(tandem(root, &["materialize", "origin_delays"]), 0);
    let (report, _) = told(tandem(root, &["parity", "origin_delays", "--sample", "500"]), 0);
    assert!(report.contains("0 not the same"), "{report}");
}

/// The real flights into a project, or generated ones.
#[allow(clippy::explicit_write, reason = "eprintln is captured by the test harness")]
fn flights_into(root: &Path, real: Option<&Path>, airports: &BTreeMap<String, (f64, f64)>) {
    match real {
        Some(data) => std::os::unix::fs::symlink(data.join("flights"), root.join("data/flights")).unwrap(),
        None => {
            // Not captured by the test harness: nobody should think that the real data was there.
            let line = "flights: data not found, test ran on generated rows of the same shape";
            let mut stderr = std::io::stderr().lock();
            writeln!(stderr, "{line}").unwrap();
            generate(&root.join("data/flights"), airports);
        }
    }
}

struct Flight {
    departed_at: i64,
    origin: String,
    destination: String,
    distance_miles: i64,
    delay_minutes: i64,
}

fn features_are_those_of_the_flights(published: &RecordBatch, flights: &[&Flight]) {
    let text = |name: &str| published.column_by_name(name).unwrap().as_string::<i32>().clone();
    let real = |name: &str| published.column_by_name(name).unwrap().as_primitive::<Float64Type>().clone();
    let whole = |name: &str| published.column_by_name(name).unwrap().as_primitive::<Int64Type>().clone();
    let (origins, destinations, classes) = (text("origin"), text("destination"), text("delay_class"));
    let (distances, sines, cosines) = (real("distance_km"), real("hour_sin"), real("hour_cos"));
    let (days, delays) = (whole("day_of_week"), whole("delay_minutes"));
    let event_times = published.column_by_name("event_time").unwrap().as_primitive::<TimestampMicrosecondType>();
    assert_eq!(published.num_rows(), flights.len());
    let mut far_off = 0;
    for (row, flight) in flights.iter().enumerate() {
        assert_eq!(
            (origins.value(row), destinations.value(row)),
            (flight.origin.as_str(), flight.destination.as_str())
        );
        assert_eq!((event_times.value(row), delays.value(row)), (flight.departed_at, flight.delay_minutes));
        let miles = distances.value(row) * MILES_PER_KM;
        let off = (miles - flight.distance_miles as f64).abs();
        // The file rounds to miles, its airports have moved a little, and the earth is no sphere.
        far_off += usize::from(off > 0.03 * flight.distance_miles as f64 + 2.0);
        let class = match flight.delay_minutes {
            ..=-6 => "early",
            -5..=14 => "on_time",
            15.. => "late",
        };
        assert_eq!(classes.value(row), class);
        // 1970-01-01 was a Thursday, the fourth day.
        assert_eq!(days.value(row), (flight.departed_at.div_euclid(MICROS_PER_DAY) + 3).rem_euclid(7) + 1);
        let turn = flight.departed_at.rem_euclid(MICROS_PER_DAY) as f64 / MICROS_PER_DAY as f64 * std::f64::consts::TAU;
        assert!((sines.value(row) - turn.sin()).abs() < 1e-12 && (cosines.value(row) - turn.cos()).abs() < 1e-12);
    }
    assert_eq!(far_off, 0, "distances differ from those of the file");
}

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("TANDEM_FLIGHTS_DATA").map_or_else(|| workspace().join(DATA), PathBuf::from);
    folder.join("flights").is_dir().then(|| folder.canonicalize().expect("it is there"))
}

/// Latitude and longitude in degrees of the airports in the view's parameters.
fn airports(definitions: &Path) -> BTreeMap<String, (f64, f64)> {
    let definitions: toml::Table = fs::read_to_string(definitions).unwrap().parse().unwrap();
    let parameters = &definitions["feature_view"][0]["parameters"];
    let list = |name: &str| parameters[name].as_array().unwrap().clone();
    let positions = std::iter::zip(list("latitudes"), list("longitudes"));
    std::iter::zip(list("airports"), positions)
        .map(|(code, (latitude, longitude))| {
            (code.as_str().unwrap().to_owned(), (latitude.as_float().unwrap(), longitude.as_float().unwrap()))
        })
        .collect()
}

/// The source's rows in the order of partitions, files and rows.
fn source(folder: &Path) -> Vec<Flight> {
    let mut flights = Vec::new();
    let sorted = |folder: &Path| {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    for file in sorted(folder).iter().flat_map(|partition| sorted(partition)) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build().unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let column = |name: &str| Arc::clone(batch.column_by_name(name).unwrap());
            let text = |name: &str| {
                tandem_engine::convert::to_declared(&column(name), name, tandem_core::types::DataType::String, None)
                    .unwrap()
            };
            let (origins, destinations) = (text("origin"), text("destination"));
            let (departed_at, distances, delays) =
                (column("departed_at"), column("distance_miles"), column("delay_minutes"));
            flights.extend((0..batch.num_rows()).map(|row| Flight {
                departed_at: departed_at.as_primitive::<TimestampMicrosecondType>().value(row),
                origin: origins.as_string::<i32>().value(row).to_owned(),
                destination: destinations.as_string::<i32>().value(row).to_owned(),
                distance_miles: distances.as_primitive::<Int64Type>().value(row),
                delay_minutes: delays.as_primitive::<Int64Type>().value(row),
            }));
        }
    }
    flights
}

/// Three days of flights between airports of the table, and one a day of an airport that it does not have.
fn generate(folder: &Path, airports: &BTreeMap<String, (f64, f64)>) {
    let codes: Vec<&String> = airports.keys().collect();
    for day in 0..3_i64 {
        let flights: Vec<Flight> = (0..400_i64)
            .map(|flight| {
                let origin = codes[(flight * 31 + day) as usize % codes.len()].clone();
                let destination = codes[(flight * 17 + 5) as usize % codes.len()].clone();
                let destination = if flight == 200 { "ZZZ".to_owned() } else { destination };
                let to = airports.get(&destination).copied().unwrap_or_default();
                Flight {
                    departed_at: (FIRST_DAY + day) * MICROS_PER_DAY + flight * 60_000_000,
                    distance_miles: miles(airports[&origin], to).round() as i64,
                    origin,
                    destination,
                    delay_minutes: flight % 40 - 20,
                }
            })
            .collect();
        let folder = folder.join(format!("date={}", Day((FIRST_DAY + day) as i32)));
        fs::create_dir_all(&folder).unwrap();
        let whole = |value: fn(&Flight) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(flights.iter().map(value)))
        };
        let text = |value: fn(&Flight) -> &String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(flights.iter().map(value)))
        };
        let departed_at = TimestampMicrosecondArray::from_iter_values(flights.iter().map(|flight| flight.departed_at));
        let batch = RecordBatch::try_from_iter([
            ("flight_id", Arc::new(Int64Array::from_iter_values(day * 400..(day + 1) * 400)) as ArrayRef),
            ("departed_at", Arc::new(departed_at.with_timezone("UTC"))),
            ("origin", text(|flight| &flight.origin)),
            ("destination", text(|flight| &flight.destination)),
            ("distance_miles", whole(|flight| flight.distance_miles)),
            ("delay_minutes", whole(|flight| flight.delay_minutes)),
        ])
        .unwrap();
        let mut writer =
            ArrowWriter::try_new(File::create(folder.join("part-0.parquet")).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// Great-circle distance by another formula than the transform's: the angle between two vectors.
fn miles(from: (f64, f64), to: (f64, f64)) -> f64 {
    let vector = |(latitude, longitude): (f64, f64)| {
        let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
        [latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()]
    };
    let (a, b) = (vector(from), vector(to));
    let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let dot: f64 = std::iter::zip(a, b).map(|(a, b)| a * b).sum();
    let sine = cross.iter().map(|value| value * value).sum::<f64>().sqrt();
    sine.atan2(dot) * 6_371.0 * MILES_PER_KM
}
