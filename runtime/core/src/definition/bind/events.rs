//! An aggregate view against the components that it runs.

use super::BindError;
use crate::model::{BoundComponent, FeatureView};
use crate::suggest;

/// Says what of the view does not fit its components, in the order of [`FeatureView::event_components`].
pub(super) fn check(view: &FeatureView, components: &[BoundComponent], errors: &mut Vec<BindError>) {
    let (Some(aggregates), Some(transform)) = (&view.aggregates, components.first()) else { return };
    if !view.has_event_transform() {
        return;
    }
    if let Err(error) = transform.signature.check() {
        errors.push(BindError::Signature { view: view.name.clone(), error });
    }
    let outputs = &transform.signature.outputs;
    for column in &aggregates.columns {
        let (view, output) = (view.name.clone(), column.column.clone());
        match outputs.iter().find(|output| output.name == column.column) {
            None => {
                let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                let hint = suggest::hint(&column.column, "outputs", &names);
                errors.push(BindError::UnknownOutput { view, column: column.name.clone(), output, hint });
            }
            Some(found) if found.data_type != column.data_type => errors.push(BindError::OutputType {
                view,
                column: column.name.clone(),
                declared: column.data_type,
                output,
                found: found.data_type,
            }),
            Some(_) => {}
        }
    }
}
