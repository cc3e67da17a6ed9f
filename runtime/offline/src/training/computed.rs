//! On-demand views over joined rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tandem_core::feature_plan::FeaturePlan;
use tandem_core::model::ViewVersion;
use tandem_engine::Evaluation;

use super::TrainingError;
use crate::bind::{RowFunction, RowSession};

/// The transforms of a plan's computed steps. Each has as many sessions as threads that call it.
pub(super) struct Computing(Vec<Step>);

struct Step {
    view: ViewVersion,
    function: Arc<dyn RowFunction>,
    idle: Mutex<Vec<Box<dyn RowSession>>>,
}

impl Computing {
    pub(super) fn new(
        plan: &FeaturePlan,
        mut functions: BTreeMap<ViewVersion, Arc<dyn RowFunction>>,
    ) -> Result<Self, TrainingError> {
        let step = |view: ViewVersion| match functions.remove(&view) {
            Some(function) => Ok(Step { view, function, idle: Mutex::default() }),
            None => Err(TrainingError::MissingTransform { view }),
        };
        plan.computed.iter().map(|computed| computed.view.view.id()).map(step).collect::<Result<_, _>>().map(Computing)
    }

    /// Computes all steps. `first_row`: the first label's row. Blocking.
    pub(super) fn run(&self, evaluation: &mut Evaluation<'_>, first_row: usize) -> Result<(), TrainingError> {
        let fail = |view: &ViewVersion, source| TrainingError::Compute {
            view: view.clone(),
            first_row: first_row as u64,
            source,
        };
        // Each is computed before the next one is asked for, so there always is one until all are done.
        for _ in &self.0 {
            let Some(inputs) = evaluation.ready().map_err(|error| fail(&self.0[0].view, error))? else { break };
            let Step { view, function, idle } = &self.0[inputs.step];
            let fail = |source| fail(view, source);
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut session = waiting.unwrap_or_else(|| function.session());
            let outcome = session.apply(&inputs.batch).map_err(fail)?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
            evaluation.push(inputs, outcome).map_err(fail)?;
        }
        Ok(())
    }
}
