//! What is so at the moment of a scrape. Measured anew for each: a gauge that cannot be measured is absent, and never an old one.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tandem_engine::{OnDemand, Workers, WorkersLoad};

use super::families::{PREFIX, ViewLabels};
use crate::server::ready::disk_free_bytes;
use crate::server::state::{Server, View};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// The gauges of now. Blocking, though not for long: the store is asked for its sizes.
pub(super) fn of_now(server: &Server) -> Registry {
    let mut gauges = Gauges { registry: Registry::with_prefix(PREFIX) };
    let build = Family::<BuildLabels, Gauge>::default();
    build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
    gauges.registry.register("build_info", "Always 1; the label is the program's version", build);

    let max = server.settings.concurrent_requests_max;
    let under_way = max.saturating_sub(server.slots.available_permits());
    gauges.add("http_requests_in_flight", "Requests under way", None, under_way);
    gauges.add("http_requests_in_flight_max", "The limit concurrent_requests_max", None, max);

    let help = "For how long requests wait until a thread comes to them";
    let late: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    late.set(server.lateness.now().as_secs_f64());
    gauges.registry.register_with_unit("http_late", help, Unit::Seconds, late);

    let served = server.live.served();
    let transforms = served.views.iter().find_map(|view| view.on_demand.as_ref());
    worker_gauges(&mut gauges, &server.workers, transforms.map(OnDemand::workers));
    view_gauges(&mut gauges, server, &served.views);
    gauges.add("views_served", "Versions of views that are served", None, served.views.len());
    gauges.add("services_served", "Feature services that are served", None, served.services.len());
    if let Some(registration) = served.registration {
        gauges.add("registration", "The registration that is served", None, registration);
    }
    let help = "1 where a newer registration cannot be served, else 0";
    gauges.add("registration_behind", help, None, u8::from(server.live.is_behind()));

    if let Some(log) = &server.feature_log {
        let help = "Values that wait to be written into the feature log";
        gauges.add("feature_log_values_waiting", help, None, log.waiting());
    }
    if let Some(store) = &server.store {
        store_gauges(&mut gauges, store);
    }
    gauges.registry
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
}

/// `lookup`: look-ups and large bodies; `transform`: calls of transforms.
fn worker_gauges(gauges: &mut Gauges, lookups: &Workers, transforms: Option<&Workers>) {
    let pools = [("lookup", Some(lookups)), ("transform", transforms)];
    let pools = pools.into_iter().filter_map(|(pool, workers)| Some((PoolLabels { pool }, workers?)));
    let pools: Vec<_> = pools.map(|(labels, workers)| (labels, workers.threads(), workers.load())).collect();
    let all = |of: fn(usize, WorkersLoad) -> usize| {
        pools.iter().map(move |(labels, threads, load)| (labels.clone(), of(*threads, *load)))
    };
    gauges.add_each("worker_threads", "Worker threads", all(|threads, _| threads));
    gauges.add_each("worker_threads_busy", "Worker threads that run a job", all(|_, load| load.busy));
    gauges.add_each("worker_jobs_waiting", "Jobs that wait for a worker thread", all(|_, load| load.waiting));
}

fn view_gauges(gauges: &mut Gauges, server: &Server, views: &[Arc<View>]) {
    let mut of_views: BTreeMap<ViewLabels, (usize, usize)> = BTreeMap::new();
    for view in views {
        let Some(on_demand) = &view.on_demand else { continue };
        let (waiting, open) = of_views.entry(server.live.metrics().labels(&view.bound.view.id())).or_default();
        *waiting += on_demand.waiting();
        *open += usize::from(on_demand.is_open());
    }
    let waiting = of_views.iter().map(|(labels, (waiting, _))| (labels.clone(), *waiting));
    gauges.add_each("transform_requests_waiting", "Requests that wait for a call of the transform", waiting);
    let open = of_views.iter().map(|(labels, (_, open))| (labels.clone(), *open));
    gauges.add_each("transform_circuit_open", "1 while the transform is left alone because it keeps failing", open);
}

fn store_gauges(gauges: &mut Gauges, store: &tandem_online::Store) {
    let stats = match store.stats() {
        Ok(stats) => stats,
        Err(error) => {
            tracing::warn!(%error, "the sizes of the online store cannot be read");
            return;
        }
    };
    match disk_free_bytes(store.path()) {
        Ok(free) => gauges.add("online_disk_free", "Bytes free on the store's disk", Some(Unit::Bytes), free),
        Err(error) => tracing::warn!(%error, "the free space of the online store's disk cannot be read"),
    }
    gauges.add("online_entries", "Rows in the online store, over all views and their generations", None, stats.entries);
    let help = "Bytes of the store's file that are in use or were";
    gauges.add("online_used", help, Some(Unit::Bytes), stats.used_bytes);
    gauges.add("online_map", "Address space reserved for the store", Some(Unit::Bytes), stats.map_bytes);
    let help = "Reader slots that were ever used at one moment, over all processes";
    gauges.add("online_reader_slots_used", help, None, stats.readers);
    gauges.add("online_reader_slots", "Reader slots that there are", None, stats.readers_max);
}

struct Gauges {
    registry: Registry,
}

impl Gauges {
    fn add_each<L>(&mut self, name: &str, help: &str, values: impl Iterator<Item = (L, usize)>)
    where
        L: Clone + Hash + Eq + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    {
        let family = Family::<L, Gauge>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value.try_into().unwrap_or(i64::MAX));
        }
        self.registry.register(name, help, family);
    }

    fn add(&mut self, name: &str, help: &str, unit: Option<Unit>, value: impl TryInto<i64>) {
        let gauge: Gauge = Gauge::default();
        gauge.set(value.try_into().unwrap_or(i64::MAX));
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, gauge),
            None => self.registry.register(name, help, gauge),
        }
    }
}
