//! What is so at the moment of a scrape. Measured anew for each: a gauge that cannot be measured is absent, and never an old one.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tandem_engine::WorkersLoad;

use super::families::PREFIX;
use crate::server::ready::disk_free_bytes;
use crate::server::state::Server;

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
    gauges.add("worker_threads", "Worker threads", None, server.workers.threads());
    let WorkersLoad { busy, waiting } = server.workers.load();
    gauges.add("worker_threads_busy", "Worker threads that run a job", None, busy);
    gauges.add("worker_jobs_waiting", "Jobs that wait for a worker thread", None, waiting);

    let served = server.live.served();
    gauges.add("views_served", "Versions of views that are served", None, served.views.len());
    gauges.add("services_served", "Feature services that are served", None, served.services.len());
    if let Some(registration) = served.registration {
        gauges.add("registration", "The registration that is served", None, registration);
    }
    let help = "1 where a newer registration cannot be served, else 0";
    gauges.add("registration_behind", help, None, u8::from(server.live.is_behind()));

    if let Some(store) = &server.store {
        store_gauges(&mut gauges, store);
    }
    gauges.registry
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
    gauges.add("online_entries", "Rows in the online store, over all views", None, stats.entries);
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
    fn add(&mut self, name: &str, help: &str, unit: Option<Unit>, value: impl TryInto<i64>) {
        let gauge: Gauge = Gauge::default();
        gauge.set(value.try_into().unwrap_or(i64::MAX));
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, gauge),
            None => self.registry.register(name, help, gauge),
        }
    }
}
