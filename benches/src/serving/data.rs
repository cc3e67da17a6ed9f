//! Users and items, their rows, and the store that is made of them.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array};

use super::{FEATURES, ITEMS};
use crate::Failure;
use crate::child::{Cost, Task, measured, tandem, watched};
use crate::guests::scratch;
use crate::load::{JSON, post};
use crate::markdown::{Table, grouped, number};
use crate::race::Times;
use crate::training::{Random, instants, write};

/// Rows of each entity, at different times.
const ROWS_OF_ENTITY: usize = 3;

/// A project with its rows; the store is made by [`Project::materialized`].
pub(super) struct Project {
    pub(super) root: PathBuf,
    pub(super) users: usize,
    pub(super) items: usize,
}

impl Project {
    pub(super) fn new(users: usize) -> Result<Project, Failure> {
        let (root, items) = (scratch()?.join("serving"), (users / 10).max(ITEMS));
        let _ = fs::remove_dir_all(&root); // what a run that ended early left
        fs::create_dir_all(root.join("features"))?;
        fs::write(root.join("tandem.toml"), "[project]\nname = \"serving\"\n")?;
        let mut definitions = String::new();
        for (entity, prefix, entities) in [("user", 'u', users), ("item", 'i', items)] {
            let features: Vec<String> =
                (0..FEATURES).map(|at| format!("{{ name = \"{prefix}{at}\", type = \"float64\" }}")).collect();
            write!(
                definitions,
                "[[entity]]\nname = \"{entity}\"\njoin_keys = [{{ name = \"{entity}_id\", type = \"int64\" }}]\n\n\
                 [[source]]\nname = \"{entity}s\"\npath = \"{entity}s.parquet\"\nkind = \"state\"\nevent_time = \"event_time\"\n\n\
                 [[feature_view]]\nname = \"{entity}\"\nversion = 1\nsource = \"{entity}s\"\nentities = [\"{entity}\"]\nfeatures = [{}]\n\n",
                features.join(", ")
            )?;
            rows(&root.join(format!("{entity}s.parquet")), entity, prefix, entities)?;
        }
        definitions += "[[feature_service]]\nname = \"profile\"\nfeatures = [\"user@1\"]\n\n[[feature_service]]\nname = \"rank\"\nfeatures = [\"user@1\", \"item@1\"]\n";
        fs::write(root.join("features/all.toml"), definitions)?;
        Ok(Project { root, users, items })
    }

    /// Makes the store several times, in turns with the baseline; what it takes.
    pub(super) fn materialized(&self, rounds: usize) -> Result<String, Failure> {
        let mut found: [Vec<Cost>; 2] = Default::default();
        for _ in 0..rounds {
            let _ = fs::remove_dir_all(self.root.join("data/online"));
            found[0].push(self.materialize("user")?);
            let _ = fs::remove_dir_all(self.root.join("appended"));
            found[1].push(measured(Task::Append, &self.root, "user", 1, None)?);
        }
        let _ = fs::remove_dir_all(self.root.join("appended"));
        self.materialize("item")?;
        let mut table = Table::new(&["", "s, median", "s, min", "× the baseline, median (min)", "peak memory, MiB"]);
        let walls =
            found.each_ref().map(|costs| Times::new(costs.iter().map(|cost| cost.wall.as_secs_f64()).collect()));
        for (name, costs, at) in [("`tandem materialize`", &found[0], 0), ("read, newest, append", &found[1], 1)] {
            let ratio = |of: fn(&Times) -> f64| of(&walls[at]) / of(&walls[1]);
            let ratios = format!("{:.2} ({:.2})", ratio(Times::median), ratio(Times::min));
            let peak = costs.iter().map(|cost| cost.peak_bytes).max().unwrap_or_default();
            table.row(&[
                name.to_owned(),
                number(walls[at].median()),
                number(walls[at].min()),
                ratios,
                number(peak as f64 / f64::from(1 << 20)),
            ]);
        }
        let bytes = fs::metadata(self.root.join("data/online/data.mdb"))
            .map_or(0, |file| std::os::unix::fs::MetadataExt::blocks(&file) * 512);
        Ok(format!(
            "### Materialize\n\n{} rows of {} users, in no order, {ROWS_OF_ENTITY} of each, from one Parquet file into an empty store, whole processes, {rounds} rounds. The baseline reads the file, keeps the newest row of each user in memory, sorts the keys, and appends values of as many bytes as Tandem's to LMDB in one transaction with the same durability; it knows no created times, checksums, keys of other types or rows that come later. The store takes {} bytes an entity on disk, 160 of them values.\n\n{}",
            grouped((self.users * ROWS_OF_ENTITY) as u64),
            grouped(self.users as u64),
            bytes / (self.users + self.items) as u64,
            table.render()
        ))
    }

    /// Makes the store once.
    pub(super) fn materialize_all(&self) -> Result<(), Failure> {
        for view in ["user", "item"] {
            self.materialize(view)?;
        }
        Ok(())
    }

    fn materialize(&self, view: &str) -> Result<Cost, Failure> {
        watched(tandem(&self.root)?.args(["materialize", "--dev", "--json", view]))
    }

    /// So many requests, each of entities that are drawn anew.
    pub(super) fn requests(&self, count: usize, mut make: impl FnMut(&Ask) -> Vec<u8>) -> Vec<Vec<u8>> {
        let mut random = Random(7);
        let mut draw = |of: usize| (random.next() % of as u64) as i64;
        (0..count)
            .map(|_| make(&Ask { user: draw(self.users), items: (0..ITEMS).map(|_| draw(self.items)).collect() }))
            .collect()
    }
}

/// Entities that are asked for.
pub(super) struct Ask {
    user: i64,
    items: Vec<i64>,
}

impl Ask {
    pub(super) fn profile_body(&self) -> String {
        format!("{{\"columns\": {{\"user_id\": [{}]}}}}", self.user)
    }

    pub(super) fn rank_body(&self) -> String {
        let items: Vec<String> = self.items.iter().map(i64::to_string).collect();
        format!("{{\"common\": {{\"user_id\": {}}}, \"columns\": {{\"item_id\": [{}]}}}}", self.user, items.join(","))
    }

    pub(super) fn profile(&self, address: SocketAddr) -> Vec<u8> {
        post(address, "/v1/services/profile", JSON, self.profile_body().as_bytes())
    }

    pub(super) fn rank(&self, address: SocketAddr) -> Vec<u8> {
        post(address, "/v1/services/rank", JSON, self.rank_body().as_bytes())
    }

    pub(super) fn rank_to_arrow(&self, address: SocketAddr) -> Vec<u8> {
        let headers = format!("{JSON}accept: application/vnd.apache.arrow.stream\r\n");
        post(address, "/v1/services/rank", &headers, self.rank_body().as_bytes())
    }

    /// Something of the size of what Tandem answers.
    pub(super) fn answer(&self) -> String {
        let features: Vec<String> = (0..FEATURES)
            .map(|at| format!("\"u{at}\":{{\"values\":[{}.25],\"statuses\":[\"PRESENT\"],\"event_times\":[\"2026-02-13T10:11:12.123456Z\"]}}", self.user % 1000))
            .collect();
        let described: Vec<String> = (0..FEATURES)
            .map(|at| {
                format!(
                    "{{\"name\":\"u{at}\",\"view\":\"user\",\"version\":1,\"digest\":\"sha256:{}\"}}",
                    "0".repeat(64)
                )
            })
            .collect();
        format!("{{\"features\":[{}],\"columns\":{{{}}}}}", described.join(","), features.join(","))
    }
}

/// Values that take a few digits, as measurements do.
pub(super) fn value(random: &mut Random) -> f64 {
    (random.next() % 4_000) as f64 / 4.0
}

fn rows(path: &Path, entity: &'static str, prefix: char, entities: usize) -> Result<(), Failure> {
    let mut random = Random(entities as u64);
    // Steps by a prime meet every entity, in no order.
    let (count, step) = (entities * ROWS_OF_ENTITY, 7_368_787);
    let names: Vec<&'static str> =
        (0..FEATURES).map(|at| &*Box::leak(format!("{prefix}{at}").into_boxed_str())).collect();
    let key: &'static str = if entity == "user" { "user_id" } else { "item_id" };
    write(path, count, |first, count| {
        let keys = (first..first + count).map(|row| (row.wrapping_mul(step) % entities) as i64);
        let mut columns: Vec<(&'static str, ArrayRef)> = vec![(key, Arc::new(Int64Array::from_iter_values(keys)))];
        columns.push(("event_time", instants((0..count).map(|_| random.instant()).collect())));
        for name in &names {
            let values = Float64Array::from_iter_values((0..count).map(|_| value(&mut random)));
            columns.push((name, Arc::new(values)));
        }
        columns
    })
}
