//! An aggregate view against the components that it runs.

use super::BindError;
use crate::model::{BoundComponent, FeatureView};
use crate::suggest;
use crate::types::DataType;
use crate::window::{ComponentFunction, EVENT_TIME_INPUT, EventColumn};

/// A function's inputs against the events' columns, and what it gives.
fn check_function(
    view: &FeatureView,
    columns: &[EventColumn],
    function: &ComponentFunction,
    component: &BoundComponent,
    errors: &mut Vec<BindError>,
) {
    let mut refuse = |message: String, hint: String| {
        let message = format!("an aggregate of feature view `{}` does not fit its component: {message}", view.name);
        errors.push(BindError::Function { message, hint });
    };
    let signature = &component.signature;
    let names: Vec<&str> = signature.inputs.iter().map(|input| input.name.as_str()).collect();
    for name in function.inputs.keys().filter(|name| !names.contains(&name.as_str())) {
        refuse(format!("it has no input `{name}`"), suggest::hint(name, "inputs", &names));
    }
    if let Err(error) = signature.check() {
        refuse(format!("it declares a signature that is refused: {error}"), "rename what it is about".to_owned());
    }
    if signature.inputs.is_empty() {
        refuse("it has no input".to_owned(), format!("declare `{EVENT_TIME_INPUT}` at least, the event's own time"));
    }
    for input in &signature.inputs {
        if input.name == EVENT_TIME_INPUT && !function.inputs.contains_key(EVENT_TIME_INPUT) {
            if input.data_type != DataType::Timestamp {
                let message = format!(
                    "its input `{EVENT_TIME_INPUT}` is {}, and the event's own time is a timestamp",
                    input.data_type
                );
                refuse(message, "declare it as a timestamp, or give it another name".to_owned());
            }
            continue;
        }
        let name = function.inputs.get(&input.name).unwrap_or(&input.name);
        match columns.iter().find(|column| column.name == *name) {
            None => {
                let message =
                    format!("its input `{}` comes from column `{name}`, which is not among `columns`", input.name);
                refuse(
                    message,
                    "add the column to `columns`, or map the input: `inputs = { input = \"column\" }`".to_owned(),
                );
            }
            Some(column) if column.data_type != input.data_type => refuse(
                format!(
                    "its input `{}` is {}, but column `{name}` is {}",
                    input.name, input.data_type, column.data_type
                ),
                "nothing is converted on the way: give the column that type".to_owned(),
            ),
            Some(_) => {}
        }
    }
    match &signature.outputs[..] {
        [output] if output.data_type == function.data_type => {}
        [output] => refuse(
            format!("it gives {}, and `type` says {}", output.data_type, function.data_type),
            format!("write `type = \"{}\"`", output.data_type),
        ),
        outputs => {
            refuse(format!("it declares {} outputs, and an aggregate has one", outputs.len()), "declare one".to_owned())
        }
    }
}

/// Says what of the view does not fit its components, in the order of [`FeatureView::event_components`].
pub(super) fn check(view: &FeatureView, components: &[BoundComponent], errors: &mut Vec<BindError>) {
    let Some(aggregates) = &view.aggregates else { return };
    let functions = components.iter().skip(usize::from(view.has_event_transform()));
    for (function, component) in aggregates.functions.iter().zip(functions) {
        check_function(view, &aggregates.columns, function, component, errors);
    }
    let Some(transform) = components.first().filter(|_| view.has_event_transform()) else { return };
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
