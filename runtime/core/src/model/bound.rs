//! A feature view with its component.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::{BoundComponent, Code, CodeError, ColumnFeature, FeatureView, MappedEvents};
use crate::defaults::Defaults;
use crate::hash::Digest;
use crate::types::{DataType, Field, Signature, VALID_TO};
use crate::window::AggregateFunction;

/// A view bound to its component: what batch, store and server are given.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundView {
    /// The definition.
    pub view: FeatureView,
    /// What the component declares under the view's parameters.
    pub signature: Signature,
    /// SHA-256 of the component; of a view of columns what [`FeatureView::declared`] says.
    pub digest: Digest,
    /// Hash over everything that can change a value.
    pub definition_hash: Digest,
    /// The view's defaults, typed.
    pub defaults: Defaults,
    /// The views that it reads, bound, in the order of [`FeatureView::upstream`].
    pub upstream: Vec<Arc<BoundView>>,
    /// Of an aggregate view the components that it runs, in the order of [`FeatureView::event_components`]; none of every other view.
    pub components: Vec<BoundComponent>,
}

impl BoundView {
    /// The events of an aggregate view, bound as the view of columns that [`FeatureView::events`] makes of them.
    pub fn events(&self) -> Option<BoundView> {
        let view = self.view.events()?;
        let (mut signature, _) = view.declared()?;
        let transform = self.components.first().filter(|_| self.view.has_event_transform());
        if let Some(transform) = transform {
            signature.inputs.clone_from(&transform.signature.inputs);
            // The component has no such inputs: what is read is passed on.
            let passed = signature.outputs.iter().filter(|output| crate::types::is_of_source(&output.name));
            signature.inputs.extend(passed.cloned());
        }
        // What is read for a view is named as the view is.
        let BoundView { digest, definition_hash, .. } = *self;
        Some(BoundView {
            view,
            signature,
            digest,
            definition_hash,
            defaults: Defaults::default(),
            upstream: Vec::new(),
            components: transform.cloned().into_iter().collect(),
        })
    }

    /// Its aggregates' functions that are components, as far as they are loaded, in the order of [`crate::window::Aggregates::functions`].
    pub fn functions(&self) -> Vec<Arc<dyn AggregateFunction>> {
        let before = usize::from(self.view.has_event_transform());
        let code = self.components.iter().skip(before).map_while(|component| match &component.code {
            Code::Function(function) => Some(Arc::clone(function)),
            Code::NotLoaded | Code::Events(_) => None,
        });
        code.collect()
    }

    /// The view of its component: itself, or of an aggregate view the component that makes its events, as a view of its own. None where there is no
    /// component that computes row by row.
    pub fn row_function(self: &Arc<Self>) -> Option<Arc<BoundView>> {
        if self.view.has_component() {
            return Some(Arc::clone(self));
        }
        let BoundComponent { signature, digest, .. } =
            self.components.first().filter(|_| self.view.has_event_transform())?;
        let view =
            FeatureView { aggregates: None, columns: Vec::new(), defaults: BTreeMap::new(), ..self.view.clone() };
        Some(Arc::new(BoundView {
            view,
            signature: signature.clone(),
            digest: *digest,
            definition_hash: self.definition_hash,
            defaults: Defaults::default(),
            upstream: Vec::new(),
            components: Vec::new(),
        }))
    }

    /// Whether this is the events of an aggregate view ([`BoundView::events`]) that a component makes: what is read of the source are its inputs.
    pub fn maps_events(&self) -> bool {
        self.view.is_columns() && !self.components.is_empty()
    }

    /// The events of rows with a column for each input, where [`BoundView::maps_events`]: a column for each output. An input that the component does not have
    /// is passed on as the output of its name. Blocking.
    ///
    /// # Errors
    ///
    /// What is no row's fault, and code that was not loaded.
    pub fn map_events(&self, inputs: &RecordBatch) -> Result<MappedEvents, CodeError> {
        let Some(BoundComponent { signature, code: Code::Events(transform), .. }) = self.components.first() else {
            return Err(CodeError(format!("the component of feature view `{}` is not loaded", self.view.name).into()));
        };
        let arrow = |error: arrow_schema::ArrowError| CodeError(Box::new(error));
        let own: Vec<usize> = (0..signature.inputs.len()).collect();
        let mapped = transform.apply(&inputs.project(&own).map_err(arrow)?)?;
        let column = |feature: &ColumnFeature| {
            let output = signature.outputs.iter().position(|output| output.name == feature.column);
            let passed = self.signature.inputs.iter().skip(own.len()).position(|input| input.name == feature.name);
            let made = output.filter(|_| !crate::types::is_of_source(&feature.name));
            let made = made.and_then(|output| mapped.outputs.get(output));
            let found = made.or_else(|| inputs.columns().get(own.len() + passed?));
            found.cloned().ok_or_else(|| CodeError(format!("the component has no output `{}`", feature.column).into()))
        };
        let outputs = self.view.columns.iter().map(column).collect::<Result<_, _>>()?;
        Ok(MappedEvents { outputs, failures: mapped.failures })
    }

    /// The values of a stored row: its features, and behind them the end of its validity where its source tells one.
    pub fn stored_fields(&self) -> Cow<'_, [Field]> {
        let features = &self.signature.outputs[..];
        match self.view.source.has_valid_to() {
            false => Cow::Borrowed(features),
            true => Cow::Owned([features, &[Field::new(VALID_TO, DataType::Timestamp, true)]].concat()),
        }
    }
}
