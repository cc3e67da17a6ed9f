//! What it takes to answer for features: which columns must be brought, which stored rows are read, and which on-demand views are computed in
//! which order. One plan for training sets and for requests, so that both compute the same.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::definition::ServiceColumn;
use crate::model::{BoundView, InputSource, ViewVersion};
use crate::suggest;
use crate::types::DataType;

/// How features are come by.
#[derive(Debug, Clone, PartialEq)]
pub struct FeaturePlan {
    /// The features that are asked for, in their order.
    pub columns: Vec<PlannedColumn>,
    /// What a request, or a label, brings: join keys of stored rows and inputs of on-demand views, sorted by name.
    pub request: Vec<RequestColumn>,
    /// The stored views that are read, each once, in the order in which they are first needed.
    pub stored: Vec<StoredStep>,
    /// The on-demand views that are computed, each once and after what it reads.
    pub computed: Vec<ComputedStep>,
}

/// A feature that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedColumn {
    /// Its name in answers.
    pub name: String,
    /// Its name in its view.
    pub feature: String,
    /// Its type.
    pub data_type: DataType,
    /// What gives it.
    pub from: FeatureRef,
}

/// A step of a plan: a position among its stored or its computed views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// In [`FeaturePlan::stored`].
    Stored(usize),
    /// In [`FeaturePlan::computed`].
    Computed(usize),
}

/// A feature of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureRef {
    /// The step.
    pub step: Step,
    /// Position among the outputs of the view's signature.
    pub output: usize,
}

/// A column that a request, or a label, brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether a null in it is refused by none of those that read it. A null join key is found nowhere, and never refused.
    pub nullable: bool,
    /// Whether it is a join key of a view that is asked for or read.
    pub join_key: bool,
    /// The views that read it, in the order in which they were met.
    pub needed_by: Vec<ViewVersion>,
}

/// A stored view whose rows are read.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredStep {
    /// The view.
    pub view: Arc<BoundView>,
    /// Position in [`FeaturePlan::request`] of each of its join keys, in their order.
    pub keys: Vec<usize>,
    /// The features that are needed, as positions among the outputs of its signature, ascending; none where only its event time is.
    pub outputs: Vec<usize>,
}

/// An on-demand view that is computed.
#[derive(Debug, Clone, PartialEq)]
pub struct ComputedStep {
    /// The view.
    pub view: Arc<BoundView>,
    /// Where each input of its signature comes from.
    pub inputs: Vec<InputFrom>,
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFrom {
    /// A position in [`FeaturePlan::request`].
    Request(usize),
    /// The instant that is asked for.
    AsOf,
    /// A feature of another step.
    Feature(FeatureRef),
    /// The event time of the row that the stored step at this position gives.
    EventTime(usize),
}

/// Why features cannot be answered for together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A view that was not given.
    #[error("`{view}` is not bound")]
    NotBound {
        /// The view.
        view: ViewVersion,
    },
    /// A feature that its view does not have.
    #[error("feature view `{view}` has no feature `{feature}`; {hint}")]
    UnknownFeature {
        /// The view.
        view: ViewVersion,
        /// The feature.
        feature: String,
        /// The nearest feature, and all that there are.
        hint: String,
    },
    /// Two views that read one column of the request with different types.
    #[error("`{column}` is {first_type} for `{first}` and {second_type} for `{second}`")]
    ConflictingTypes {
        /// The column.
        column: String,
        /// A view that reads it.
        first: ViewVersion,
        /// Its type for that view.
        first_type: DataType,
        /// Another view.
        second: ViewVersion,
        /// Its type for that one.
        second_type: DataType,
    },
}

impl FeaturePlan {
    /// The plan for `columns`, as a feature service has them. `views` has their views, bound.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in the order of the columns.
    pub fn new(
        columns: &[ServiceColumn],
        views: &BTreeMap<ViewVersion, Arc<BoundView>>,
    ) -> Result<FeaturePlan, PlanError> {
        let mut planner = Planner::default();
        let mut planned = Vec::with_capacity(columns.len());
        for column in columns {
            let view = views.get(&column.view).ok_or_else(|| PlanError::NotBound { view: column.view.clone() })?;
            let from = planner.feature(view, &column.feature)?;
            planned.push(PlannedColumn {
                name: column.name.clone(),
                feature: column.feature.clone(),
                data_type: column.data_type,
                from,
            });
        }
        Ok(planner.finish(planned))
    }

    /// The view of a step.
    pub fn view(&self, step: Step) -> &Arc<BoundView> {
        match step {
            Step::Stored(index) => &self.stored[index].view,
            Step::Computed(index) => &self.computed[index].view,
        }
    }

    /// The steps whose features are asked for themselves, each once, in the order of the columns.
    pub fn asked(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for column in &self.columns {
            if !steps.contains(&column.from.step) {
                steps.push(column.from.step);
            }
        }
        steps
    }
}

#[derive(Default)]
struct Planner {
    request: BTreeMap<String, RequestColumn>,
    stored: Vec<StoredStep>,
    computed: Vec<(Arc<BoundView>, Vec<Planned>)>,
    steps: BTreeMap<ViewVersion, Step>,
}

/// As [`InputFrom`], while columns of the request have no positions yet.
enum Planned {
    Request(String),
    Other(InputFrom),
}

impl Planner {
    fn feature(&mut self, view: &Arc<BoundView>, feature: &str) -> Result<FeatureRef, PlanError> {
        let outputs = &view.signature.outputs;
        let Some(output) = outputs.iter().position(|output| output.name == feature) else {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            let hint = suggest::hint(feature, "features", &names);
            return Err(PlanError::UnknownFeature { view: view.view.id(), feature: feature.to_owned(), hint });
        };
        let step = self.step(view)?;
        if let Step::Stored(index) = step {
            let outputs = &mut self.stored[index].outputs;
            if let Err(place) = outputs.binary_search(&output) {
                outputs.insert(place, output);
            }
        }
        Ok(FeatureRef { step, output })
    }

    /// The step of a view; views that it reads get theirs first. Definitions have no circles, so this ends; they are as deep as people write them.
    fn step(&mut self, bound: &Arc<BoundView>) -> Result<Step, PlanError> {
        let id = bound.view.id();
        if let Some(step) = self.steps.get(&id) {
            return Ok(*step);
        }
        let step = if bound.view.is_stored() {
            for key in bound.view.join_keys() {
                self.request(&key.name, key.data_type, true, true, &id)?;
            }
            let view = Arc::clone(bound);
            self.stored.push(StoredStep { view, keys: Vec::new(), outputs: Vec::new() });
            Step::Stored(self.stored.len() - 1)
        } else {
            let mut inputs = Vec::with_capacity(bound.signature.inputs.len());
            for input in &bound.signature.inputs {
                inputs.push(match bound.view.input_source(&input.name) {
                    InputSource::AsOf => Planned::Other(InputFrom::AsOf),
                    InputSource::Column(column) => {
                        self.request(&column, input.data_type, input.nullable, false, &id)?;
                        Planned::Request(column)
                    }
                    InputSource::Feature { view, feature } => {
                        let read = Self::upstream(bound, &view)?;
                        Planned::Other(InputFrom::Feature(self.feature(read, &feature)?))
                    }
                    InputSource::EventTime { view } => match self.step(Self::upstream(bound, &view)?)? {
                        Step::Stored(index) => Planned::Other(InputFrom::EventTime(index)),
                        // Binding refuses it: what is computed for a request has no event time.
                        Step::Computed(_) => return Err(PlanError::NotBound { view }),
                    },
                });
            }
            self.computed.push((Arc::clone(bound), inputs));
            Step::Computed(self.computed.len() - 1)
        };
        self.steps.insert(id, step);
        Ok(step)
    }

    fn upstream<'a>(bound: &'a BoundView, id: &ViewVersion) -> Result<&'a Arc<BoundView>, PlanError> {
        let found = bound.upstream.iter().find(|upstream| upstream.view.id() == *id);
        found.ok_or_else(|| PlanError::NotBound { view: id.clone() })
    }

    fn request(
        &mut self,
        name: &str,
        data_type: DataType,
        nullable: bool,
        join_key: bool,
        by: &ViewVersion,
    ) -> Result<(), PlanError> {
        let column = self.request.entry(name.to_owned()).or_insert_with(|| RequestColumn {
            name: name.to_owned(),
            data_type,
            nullable: true,
            join_key: false,
            needed_by: Vec::new(),
        });
        if column.data_type != data_type {
            return Err(PlanError::ConflictingTypes {
                column: name.to_owned(),
                first: column.needed_by[0].clone(),
                first_type: column.data_type,
                second: by.clone(),
                second_type: data_type,
            });
        }
        column.nullable &= nullable;
        column.join_key |= join_key;
        if !column.needed_by.contains(by) {
            column.needed_by.push(by.clone());
        }
        Ok(())
    }

    fn finish(self, columns: Vec<PlannedColumn>) -> FeaturePlan {
        let Planner { request, mut stored, computed, .. } = self;
        let request: Vec<RequestColumn> = request.into_values().collect();
        let position = |name: &str| {
            let found = request.binary_search_by(|column| column.name.as_str().cmp(name));
            found.expect("every column that is read was put down")
        };
        for step in &mut stored {
            step.keys = step.view.view.join_keys().map(|key| position(&key.name)).collect();
        }
        let place = |planned: Planned| match planned {
            Planned::Request(name) => InputFrom::Request(position(&name)),
            Planned::Other(from) => from,
        };
        let computed = computed.into_iter().map(|(view, inputs)| {
            let inputs = inputs.into_iter().map(place).collect();
            ComputedStep { view, inputs }
        });
        let computed = computed.collect();
        FeaturePlan { columns, request, stored, computed }
    }
}
