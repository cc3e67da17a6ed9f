//! docs/reference/limits.md says what the code says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tandem::commands::describe::COMPILED_BYTES_MAX;
use tandem::following::{REGISTRY_POLL_MILLIS, REGISTRY_RETRY_SECONDS};
use tandem::registry::LOCK_SECONDS_MAX;
use tandem::server::{DEPRECATED_LOG_SECONDS, READY_SECONDS_MAX, SERVICES_MAX, VIEWS_MAX};
use tandem::tokens::TOKENS_MAX;
use tandem::watched::FILES_POLL_SECONDS;
use tandem_core::definition::{
    BatchSettings, DIAGNOSTICS_MAX, DURATION_DAYS_MAX, EngineSettings, ExpirySettings, FeatureLogSettings, File,
    PushSettings, ServerSettings, Settings, parse_settings,
};
use tandem_core::limits::TransformLimits;
use tandem_engine::verify::VerifyOptions;
use tandem_engine::{
    CORE_INSTANCES_MAX, EngineOptions, MEMORIES_MAX, OnDemandOptions, ReuseOptions, TABLES_MAX, TrialOptions,
};
use tandem_offline::training::{TrainingOptions, leakage};
use tandem_online::StoreOptions;

use crate::harness::guests::workspace;

fn page() -> String {
    fs::read_to_string(workspace().join("docs/reference/limits.md")).expect("the page")
}

/// The cells of all rows of tables, without backticks.
fn rows(page: &str) -> Vec<Vec<String>> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

/// `1 and 2`, or `1; 2`: the values of limits that share a row.
fn values(cell: &str) -> Vec<&str> {
    cell.split(" and ").flat_map(|cell| cell.split("; ")).collect()
}

/// Names and defaults of the limits that have both, `fuel_base, fuel_per_row` as two.
fn defaults(page: &str) -> BTreeMap<String, String> {
    let mut defaults = BTreeMap::new();
    for row in rows(page).into_iter().filter(|row| row.len() > 2) {
        let (names, values): (Vec<_>, Vec<_>) = (row[0].split(", ").collect(), values(&row[2]));
        if names.iter().all(|name| name.contains('_') && !name.contains(' ')) || names == ["workers"] {
            assert_eq!(names.len(), values.len(), "{row:?}");
            for (name, value) in names.into_iter().zip(values) {
                let before = defaults.insert(name.to_owned(), value.to_owned());
                assert!(before.is_none_or(|before| before == value), "{name} has two defaults");
            }
        }
    }
    let with_place = "max_future (of [project])";
    let of_batch = rows(page).into_iter().find(|row| row[0] == with_place).expect("a row");
    assert_eq!(defaults.get("max_future"), Some(&of_batch[2]));
    defaults
}

/// A number as the page writes it: `256 MiB`, `65,536`.
fn shown(number: u64) -> Vec<String> {
    let mut forms = Vec::new();
    for (unit, size) in [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if number >= size && number.is_multiple_of(size) {
            forms.push(format!("{} {unit}", number / size));
        }
    }
    let digits = number.to_string();
    let grouped: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap()).collect();
    forms.push(grouped.join(","));
    forms
}

/// Every limit that has a default in the code. The patterns name all fields: a new one does not compile before it stands here, and then not
/// before it stands on the page.
fn in_code() -> BTreeMap<&'static str, u64> {
    let TransformLimits {
        fuel_base,
        fuel_per_row,
        call_seconds_max,
        memory_bytes_max,
        table_elements_max,
        output_bytes_max,
        message_bytes_max,
        failed_rows_max,
        fields_max,
    } = TransformLimits::default();
    let EngineOptions {
        allocation: _,
        instances_max,
        instance_memory_bytes_max,
        instance_table_elements_max,
        keep_resident_bytes,
        stack_bytes_max,
        component_bytes_max,
        compiler: _,
        compile_seconds_max,
        compile_memory_bytes_max,
        cache: _,
        cache_bytes_max: _,
    } = EngineOptions::default();
    let OnDemandOptions { shared_rows_max, trial, reuse, workers_max: None, waiting_max: None, breaker: None } =
        OnDemandOptions::default()
    else {
        panic!("no bound and no breaker by default")
    };
    assert_eq!((trial, reuse), (None, None), "the server turns them on, with these bounds");
    let ReuseOptions { calls_max: reused_calls_max, memory_bytes_max: reused_memory_bytes_max } =
        ReuseOptions::default();
    assert_eq!(reused_calls_max as usize, VerifyOptions::default().calls, "as many as a proof covers");
    let TrialOptions { rows_max: trial_rows_max, fuel: trial_fuel, memory_bytes_max: trial_memory_bytes_max } =
        TrialOptions::default();
    let StoreOptions {
        map_bytes,
        map_bytes_max,
        readers_max,
        batch_rows_max,
        batch_bytes_max,
        key_bytes_max,
        row_bytes_max,
        fsync: _,
        queue_batches_max,
    } = StoreOptions::default();
    let file = File { name: "tandem.toml".to_owned(), text: "[project]\nname = \"x\"\n".to_owned() };
    let settings: Settings = parse_settings(&file, Path::new("")).unwrap_or_else(|error| panic!("{error}"));
    let ServerSettings {
        listen: _,
        allow_replay: _,
        tokens: None,
        allow_unauthenticated: false,
        tls: None,
        body_bytes_max,
        rows_max,
        request_seconds_max,
        shutdown_seconds_max,
        concurrent_requests_max,
        late_millis_max,
        shutdown_notice_seconds,
        disk_free_bytes_min,
        entities_max,
        features_max,
        values_max,
        queue_requests_max,
        breaker_failures,
        breaker_seconds,
    } = settings.server
    else {
        panic!("no tokens and no TLS by default")
    };
    let EngineSettings {
        workers,
        component_bytes_max: of_settings,
        instances_max: instances,
        keep_resident_bytes: resident,
        stack_bytes_max: stack,
        compile_seconds_max: seconds,
        compile_memory_bytes_max: memory,
    } = settings.engine;
    assert_eq!((seconds, memory), (compile_seconds_max, compile_memory_bytes_max));
    assert_eq!(
        (of_settings, instances as u64, resident, stack, seconds, memory),
        (
            component_bytes_max,
            u64::from(instances_max),
            keep_resident_bytes,
            stack_bytes_max,
            compile_seconds_max,
            compile_memory_bytes_max
        ),
        "the engine and tandem.toml have the same defaults"
    );
    let TrainingOptions { batch_rows: join_batch_rows, threads: _, memory_bytes_max: join_memory_bytes_max } =
        TrainingOptions::default();
    let PushSettings { roll_seconds, roll_rows, roll_bytes } = settings.push;
    let ExpirySettings { pass_seconds, pause_millis, looked_rows_max, removed_rows_max } = settings.expiry;
    let FeatureLogSettings { file_seconds, file_rows, waiting_values_max } = settings.feature_log;
    let BatchSettings { rows_per_call, partitions_in_flight, row_group_rows, calls_in_flight } = settings.batch;
    // 0 is as many as there are cores or workers, and told in words.
    assert_eq!((workers, partitions_in_flight, calls_in_flight), (0, 0, 0));
    BTreeMap::from([
        ("fuel_base", fuel_base),
        ("fuel_per_row", fuel_per_row),
        ("call_seconds_max", call_seconds_max),
        ("memory_bytes_max", memory_bytes_max),
        ("table_elements_max", table_elements_max),
        ("output_bytes_max", output_bytes_max),
        ("message_bytes_max", message_bytes_max),
        ("failed_rows_max", failed_rows_max),
        ("fields_max", fields_max),
        ("state_bytes_max", tandem_core::window::STATE_BYTES_DEFAULT),
        ("instances_max", u64::from(instances_max)),
        ("instance_memory_bytes_max", instance_memory_bytes_max),
        ("instance_table_elements_max", u64::from(instance_table_elements_max)),
        ("keep_resident_bytes", keep_resident_bytes),
        ("stack_bytes_max", stack_bytes_max),
        ("component_bytes_max", component_bytes_max),
        ("compile_seconds_max", compile_seconds_max),
        ("compile_memory_bytes_max", compile_memory_bytes_max),
        ("core_instances_max", u64::from(CORE_INSTANCES_MAX)),
        ("memories_max", u64::from(MEMORIES_MAX)),
        ("tables_max", u64::from(TABLES_MAX)),
        ("shared_rows_max", shared_rows_max as u64),
        ("trial_rows_max", trial_rows_max as u64),
        ("trial_fuel", trial_fuel),
        ("trial_memory_bytes_max", trial_memory_bytes_max),
        ("reused_calls_max", u64::from(reused_calls_max)),
        ("reused_memory_bytes_max", reused_memory_bytes_max),
        ("compiled_bytes_max", COMPILED_BYTES_MAX),
        ("file_seconds", file_seconds),
        ("file_rows", file_rows),
        ("waiting_values_max", waiting_values_max),
        ("map_bytes", map_bytes as u64),
        ("map_bytes_max", map_bytes_max as u64),
        ("readers_max", u64::from(readers_max)),
        ("batch_rows_max", batch_rows_max as u64),
        ("batch_bytes_max", batch_bytes_max as u64),
        ("key_bytes_max", key_bytes_max as u64),
        ("row_bytes_max", row_bytes_max as u64),
        ("queue_batches_max", queue_batches_max as u64),
        ("pass_seconds", pass_seconds),
        ("pause_millis", pause_millis),
        ("looked_rows_max", looked_rows_max as u64),
        ("removed_rows_max", removed_rows_max as u64),
        ("body_bytes_max", body_bytes_max),
        ("rows_max", rows_max as u64),
        ("request_seconds_max", request_seconds_max),
        ("shutdown_seconds_max", shutdown_seconds_max),
        ("breaker_failures", u64::from(breaker_failures)),
        ("breaker_seconds", breaker_seconds),
        ("concurrent_requests_max", concurrent_requests_max as u64),
        ("late_millis_max", late_millis_max),
        ("shutdown_notice_seconds", shutdown_notice_seconds),
        ("disk_free_bytes_min", disk_free_bytes_min),
        ("entities_max", entities_max as u64),
        ("features_max", features_max as u64),
        ("values_max", values_max as u64),
        ("queue_requests_max", queue_requests_max as u64),
        ("tokens_max", TOKENS_MAX as u64),
        ("files_poll_seconds", FILES_POLL_SECONDS),
        ("ready_seconds_max", READY_SECONDS_MAX),
        ("rows_per_call", rows_per_call as u64),
        ("row_group_rows", row_group_rows as u64),
        ("grid_instants_max", tandem_offline::GRID_INSTANTS_MAX),
        ("roll_seconds", roll_seconds),
        ("roll_rows", roll_rows),
        ("roll_bytes", roll_bytes),
        ("join_memory_bytes_max", join_memory_bytes_max),
        ("join_batch_rows", join_batch_rows as u64),
        ("query_memory_bytes_max", tandem_offline::query::QUERY_MEMORY_BYTES_MAX as u64),
        ("line_bytes_max", tandem::ingest::LINE_BYTES_MAX as u64),
        ("lock_seconds_max", LOCK_SECONDS_MAX),
        ("registry_poll_millis", REGISTRY_POLL_MILLIS),
        ("registry_retry_seconds", REGISTRY_RETRY_SECONDS),
        ("deprecated_log_seconds", DEPRECATED_LOG_SECONDS),
        ("metrics_views_max", VIEWS_MAX as u64),
        ("metrics_services_max", SERVICES_MAX as u64),
    ])
}

#[test]
fn every_default_is_that_of_the_code() {
    let (page, code) = (page(), in_code());
    let mut told = defaults(&page);
    let words = [
        ("workers", "one for each core"),
        ("partitions_in_flight", "worker threads"),
        ("calls_in_flight", "worker threads + 1"),
        ("max_future", "5 minutes"),
    ];
    for (name, expected) in words {
        assert_eq!(told.remove(name).as_deref(), Some(expected), "{name}");
    }
    let names: BTreeSet<&str> = told.keys().map(String::as_str).collect();
    assert_eq!(names, code.keys().copied().collect());
    for (name, value) in code {
        assert!(shown(value).contains(&told[name]), "{name} is {value} in the code and {} on the page", told[name]);
    }
}

#[test]
fn every_share_that_is_suspicious_is_that_of_the_code() {
    for (name, share) in [
        ("leakage_share_at_label_time", leakage::SHARE_AT_LABEL_TIME),
        ("leakage_share_decided_by_bytes", leakage::SHARE_DECIDED_BY_BYTES),
        ("leakage_share_newer_unknown", leakage::SHARE_NEWER_UNKNOWN),
        ("leakage_share_only_later", leakage::SHARE_ONLY_LATER),
    ] {
        let told = page().replace('\n', " ");
        let expected = format!("`{name}` {} %", (share * 100.0).round());
        assert!(told.contains(&expected), "{expected}");
    }
}

#[test]
fn every_default_of_verify_is_that_of_the_code() {
    let VerifyOptions {
        seed: _,
        generated_rows,
        given_rows_max,
        calls,
        interpreter_rows,
        faulty_rows_max,
        shrink_tries_max,
    } = VerifyOptions::default();
    let code = [
        ("generated_rows)", generated_rows),
        ("given_rows_max)", given_rows_max),
        ("(calls)", calls),
        ("(interpreter_rows)", interpreter_rows),
        ("(faulty_rows_max)", faulty_rows_max),
        ("(shrink_tries_max)", shrink_tries_max as usize),
    ];
    let rows = rows(&page());
    for (name, value) in code {
        let row = rows.iter().find(|row| row[0].ends_with(name)).unwrap_or_else(|| panic!("the page lacks {name}"));
        assert_eq!(row[2].split(';').next(), shown(value as u64).first().map(String::as_str), "{row:?}");
    }
}

/// What is fixed in the program: the row on the page, and the line of code that says the same.
#[test]
fn every_fixed_limit_is_that_of_the_code() {
    let page = page();
    let fixed = [
        ("| width of a vector | values | 65,536 |", "core/src/types.rs", "VECTOR_WIDTH_MAX: u32 = 65_536;"),
        ("| length of a name | bytes | 128 |", "core/src/types.rs", "FIELD_NAME_BYTES_MAX: usize = 128;"),
        ("| depth of folders | folders | 32 |", "offline/src/listing.rs", "FOLDER_DEPTH_MAX: usize = 32;"),
        ("reads 16,384 rows at a time", "tandem/src/materialize.rs", "BATCH_ROWS: usize = 16_384;"),
        ("4 × `body_bytes_max`", "tandem/src/server/limits.rs", "VECTOR_EXPANSION_MAX: u64 = 4;"),
        ("from a client | bytes | 128 |", "tandem/src/server/guard.rs", "REQUEST_ID_BYTES_MAX: usize = 128;"),
        ("`too-many-failures` | rows | 10 |", "tandem/src/server/problem.rs", "FAILURES_SHOWN_MAX: usize = 10;"),
        ("| rows in one request | rows | 4,096 |", "tandem/src/parity.rs", "BATCH_ROWS: usize = 4_096;"),
        ("| an answer | seconds | 60 |", "tandem/src/parity/ask.rs", "ANSWER_SECONDS_MAX: u64 = 60;"),
        ("| an answer | bytes | 1 GiB |", "tandem/src/parity/ask.rs", "ANSWER_BYTES_MAX: u64 = 1 << 30;"),
        ("bytes of states | 1,024; 1 MiB |", "engine/src/aggregate.rs", "STATES_PER_CALL_MAX: usize = 1_024;"),
        ("bytes of states | 1,024; 1 MiB |", "engine/src/aggregate.rs", "STATE_BYTES_PER_CALL_MAX: usize = 1 << 20;"),
        ("folded in one transaction | events | 4,096 |", "online/src/windows/fold.rs", "FOLDED_MAX: usize = 4_096;"),
        ("| differences shown | values | 20;", "tandem/src/parity.rs", "DIFFERENCES_SHOWN_MAX: usize = 20;"),
        ("| bytes | 64 MiB; a larger one is refused", "tandem/src/rows.rs", "TEXT_BYTES_MAX: u64 = 64 << 20;"),
    ];
    for (row, file, line) in fixed {
        assert!(page.contains(row), "the page lacks {row}");
        let code = fs::read_to_string(workspace().join("runtime").join(file)).expect(file);
        assert!(code.contains(line), "{file} lacks {line}: is the page still right with {row}");
    }
    assert!(page.contains(&format!("| longest duration | days | {} |", shown(DURATION_DAYS_MAX)[0])));
    assert!(page.contains(&format!("| mistakes shown at once | mistakes | {DIAGNOSTICS_MAX} |")));
}

#[test]
fn numbers_are_read_as_the_page_writes_them() {
    assert_eq!(shown(65_536), ["64 KiB", "65,536"]);
    assert_eq!(shown(1_000), ["1,000"]);
    let page = "| name | unit | default |\n| --- | --- | --- |\n| `a_b`, `c_d` | x | 1,000 and 2 MiB | y |\n| some words | | 3 |\n\
                | `max_future` | time | 5 s | z |\n| `max_future` (of `[project]`) | time | 5 s | z |\n";
    let expected = [("a_b", "1,000"), ("c_d", "2 MiB"), ("max_future", "5 s")];
    assert_eq!(defaults(page), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}
