//! The transform as a physical operator of DataFusion.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow_array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::StreamExt;
use tandem_engine::Workers;

use crate::bind::{Binding, Computed, RowFunction, RowSession};
use crate::error::OfflineError;
use crate::report::RowCounts;

/// Source rows of one partition in, feature rows out, in the same order.
///
/// Each batch of the input is one call. At most `calls_in_flight` are computed or wait in order; sessions are shared by the calls of this
/// partition and end with its stream. Rows set aside go to [`Rejected`], not downstream.
pub(crate) struct TransformExec {
    input: Arc<dyn ExecutionPlan>,
    binding: Arc<Binding>,
    function: Arc<dyn RowFunction>,
    workers: Workers,
    calls_in_flight: usize,
    idle_sessions_max: usize,
    rejected: Arc<Rejected>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// Counts and quarantined rows of the batches that came out of a [`TransformExec`], until somebody takes them. Whoever reads the stream
/// takes them after every batch, so that they are bounded by a batch.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    taken_out: Mutex<(RowCounts, Vec<RecordBatch>)>,
}

impl Rejected {
    /// What came since the last call.
    pub(crate) fn take(&self) -> (RowCounts, Vec<RecordBatch>) {
        std::mem::take(&mut *self.taken_out.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, rows: RowCounts, quarantine: Option<RecordBatch>) {
        let mut inner = self.taken_out.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += rows;
        inner.1.extend(quarantine);
    }
}

/// Sessions of one partition that wait for a call.
struct Sessions {
    function: Arc<dyn RowFunction>,
    idle: Mutex<Vec<Box<dyn RowSession>>>,
    idle_max: usize,
}

impl Sessions {
    fn compute(&self, binding: &Binding, batch: &RecordBatch, first_row: u64) -> Result<Computed, OfflineError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut session = idle.unwrap_or_else(|| self.function.session());
        let computed = binding.compute(&mut *session, batch, first_row);
        // A session holds an instance of the engine's pool, so each partition keeps no more than its share of the workers.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_max {
            idle.push(session);
        }
        computed
    }
}

impl TransformExec {
    /// `partitions_in_flight`: how many of these operators share the workers.
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        binding: Arc<Binding>,
        function: Arc<dyn RowFunction>,
        workers: Workers,
        calls_in_flight: usize,
        partitions_in_flight: usize,
    ) -> Self {
        let idle_sessions_max = workers.threads().div_ceil(partitions_in_flight.max(1));
        let partitioning = Partitioning::UnknownPartitioning(input.output_partitioning().partition_count());
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(binding.feature_schema())),
            partitioning,
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let (rejected, metrics) = (Arc::default(), ExecutionPlanMetricsSet::new());
        TransformExec {
            input,
            binding,
            function,
            workers,
            calls_in_flight,
            idle_sessions_max,
            rejected,
            properties,
            metrics,
        }
    }

    /// Where the rows go that are set aside.
    pub(crate) fn rejected(&self) -> Arc<Rejected> {
        Arc::clone(&self.rejected)
    }
}

impl fmt::Debug for TransformExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransformExec").field("input", &self.input).finish_non_exhaustive()
    }
}

impl DisplayAs for TransformExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransformExec: {}, calls_in_flight={}", self.binding.name(), self.calls_in_flight)
    }
}

impl ExecutionPlan for TransformExec {
    fn name(&self) -> &str {
        "TransformExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // The order of a partition's rows is part of its file, so its scan stays one stream; calls run in parallel all the same.
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return Err(DataFusionError::Internal("TransformExec has one child".to_owned()));
        };
        let replaced = TransformExec::new(
            input,
            Arc::clone(&self.binding),
            Arc::clone(&self.function),
            self.workers.clone(),
            self.calls_in_flight,
            1,
        );
        let (idle_sessions_max, rejected) = (self.idle_sessions_max, self.rejected());
        Ok(Arc::new(TransformExec { idle_sessions_max, rejected, ..replaced }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let sessions = Arc::new(Sessions {
            function: Arc::clone(&self.function),
            idle: Mutex::default(),
            idle_max: self.idle_sessions_max,
        });
        let (binding, workers, rejected) = (Arc::clone(&self.binding), self.workers.clone(), self.rejected());
        let mut next_row = 0;
        let calls = input.map(move |batch| {
            let first_row = next_row;
            next_row += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            let (binding, workers, sessions) = (Arc::clone(&binding), workers.clone(), Arc::clone(&sessions));
            let (elapsed, output_rows) = (metrics.elapsed_compute().clone(), metrics.output_rows().clone());
            let output_batches = metrics.output_batches().clone();
            async move {
                let batch = batch.map_err(|source| {
                    let (file, row) = binding.checked().locate(first_row);
                    file.unreadable(row, source)
                })?;
                let computed = workers
                    .run(move || {
                        let start = Instant::now();
                        let computed = sessions.compute(&binding, &batch, first_row);
                        elapsed.add_duration(start.elapsed());
                        computed
                    })
                    .await??;
                output_rows.add(computed.features.num_rows());
                output_batches.add(1);
                Ok::<_, OfflineError>(computed)
            }
        });
        let rows = calls.buffered(self.calls_in_flight).map(move |computed| {
            let Computed { features, quarantine, rows } =
                computed.map_err(|error| DataFusionError::External(Box::new(error)))?;
            rejected.put(rows, quarantine);
            Ok(features)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::displayable;
    use tandem_core::time::Timestamp;

    use super::*;
    use crate::columns::needed_columns;
    use crate::footers::CheckedPartition;
    use crate::testing::{Native, two_days, view};
    use crate::{listing, scan};

    #[tokio::test]
    async fn the_operator_keeps_order_explains_itself_and_counts() {
        let source = tempfile::tempdir().unwrap();
        two_days(source.path());
        let view = Arc::new(view(source.path()));
        let rows = Arc::new(crate::testing::source(source.path()));
        let partition = listing::list(&rows, None).unwrap().partitions.remove(0);
        let checked = Arc::new(CheckedPartition::check(partition, &needed_columns(&view, &rows)).unwrap());
        let binding = Arc::new(
            Binding::new(view, rows, Arc::clone(&checked), Timestamp::MAX, Timestamp(0), Arc::default()).unwrap(),
        );
        let input = scan::plan(&checked, 700).unwrap();
        let operator = Arc::new(TransformExec::new(input, binding, Arc::new(Native), Workers::start(3), 4, 2));

        let explained = displayable(&*operator).indent(false).to_string();
        assert!(explained.starts_with("TransformExec: spend v1, calls_in_flight=4\n  DataSourceExec:"), "{explained}");
        assert!(explained.contains("projection=[user, at, known_at, offset, amount, date]"), "{explained}");

        let mut stream = operator.execute(0, Arc::default()).unwrap();
        let mut sizes = Vec::new();
        while let Some(batch) = stream.next().await {
            sizes.push(batch.unwrap().num_rows());
        }
        // Files of 2,000 and 1,000 rows; a batch never spans two.
        assert_eq!(sizes, [700, 700, 600, 700, 300]);
        let metrics = operator.metrics().unwrap();
        assert_eq!(metrics.output_rows(), Some(3_000));
        assert!(metrics.elapsed_compute().is_some_and(|nanos| nanos > 0));
        assert_eq!(operator.rejected().take().0.rows_in, 3_000);
    }
}
