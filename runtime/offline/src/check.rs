//! A view against the data of its source, before anything is computed: as far as the footer of one file tells.

use std::sync::Arc;

use arrow_array::new_empty_array;
use arrow_schema::DataType as ArrowType;
use tandem_core::definition::{Key, Mistake};
use tandem_core::model::{BoundView, InputSource, Source, SourceQuery, ViewSource};
use tandem_core::suggest;
use tandem_core::types::DataType;
use tandem_engine::convert::{ConvertError, to_declared};

use crate::columns::input_noun;
use crate::error::OfflineError;
use crate::footers;
use crate::listing::{self, PartitionFiles};
use crate::query;

/// What is wrong between a view and the columns of its source, with the key of the definition that says so: columns that are not there,
/// and types that are not taken for the declared ones. Values are not looked at. Blocking.
///
/// It is the first file of the last partition that counts: types may differ between partitions, and what is newest is what comes next.
/// Nothing is said where no data is yet, and of views over other views' rows or on demand, whose types are known without data.
pub fn check_columns(view: &BoundView) -> Vec<Mistake> {
    let ViewSource::Files(source) = &view.view.source else { return Vec::new() };
    if let Some(query) = &source.query {
        return check_query(view, source, query);
    }
    if !source.path.exists() {
        return Vec::new();
    }
    match last_columns(source) {
        Ok(Some(columns)) => wrong_columns(view, source, &columns),
        Ok(None) => Vec::new(),
        Err(error) => {
            let key = match &error {
                OfflineError::PartitionMissing { .. } | OfflineError::PartitionDay { .. } => "partition",
                _ => "path",
            };
            let (message, hint) = (format!("source `{}`: {error}", source.name), error.hint().map(str::to_owned));
            vec![Mistake { key: Key::of_source(key), message, hint }]
        }
    }
}

/// The query of a source, and the columns that it gives.
fn check_query(view: &BoundView, source: &Arc<Source>, query: &SourceQuery) -> Vec<Mistake> {
    if query.tables.values().any(|path| !path.exists()) {
        return Vec::new();
    }
    match query::schema(source, query) {
        Ok(schema) => {
            let types = schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone()));
            let columns = Columns { file: "what its query gives".to_owned(), types: types.collect() };
            wrong_columns(view, source, &columns)
        }
        Err(error) => {
            let key = Key::of_source("query");
            vec![Mistake { key, message: error.to_string(), hint: error.hint().map(str::to_owned) }]
        }
    }
}

/// Columns with their types, in the order of the file and then of the folders, and the file that they are of.
struct Columns {
    file: String,
    types: Vec<(String, ArrowType)>,
}

fn last_columns(source: &Source) -> Result<Option<Columns>, OfflineError> {
    let mut partitions = listing::list(source, None)?.partitions;
    let Some(PartitionFiles { files, hive, .. }) = partitions.pop() else { return Ok(None) };
    let Some(file) = files.first() else { return Ok(None) };
    let footer = footers::read(&file.path)?;
    let fields = footer.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone()));
    // A folder's value goes before a column of the same name, as in a batch.
    let hive: Vec<_> = hive.into_iter().map(|(name, _)| (name, ArrowType::Utf8)).collect();
    let in_file = fields.filter(|(name, _)| !hive.iter().any(|(folder, _)| folder == name)).collect::<Vec<_>>();
    Ok(Some(Columns { file: file.relative.clone(), types: in_file.into_iter().chain(hive).collect() }))
}

/// A column that a view reads, for messages.
struct Needed {
    /// "input `amount` of feature view `risk`", "the event time".
    what: String,
    key: Key,
    column: String,
    data_type: DataType,
}

fn needed(view: &BoundView, source: &Source) -> Vec<Needed> {
    let definition = &view.view;
    let keys = definition.join_keys().map(|key| Needed {
        what: format!("join key `{}` of feature view `{}`", key.name, definition.name),
        key: Key::join_key(&key.name),
        column: definition.key_column(&key.name).to_owned(),
        data_type: key.data_type,
    });
    let event_time = if source.valid_to.is_some() { "valid_from" } else { "event_time" };
    let times = [
        (event_time, Some(&source.event_time), "the event time", DataType::Timestamp),
        ("valid_to", source.valid_to.as_ref(), "the end of validity", DataType::Timestamp),
        ("created_time", source.created_time.as_ref(), "the created time", DataType::Timestamp),
        ("sequence", source.sequence.as_ref(), "the sequence", DataType::Int64),
        ("retracted", source.retracted.as_ref(), "the retraction", DataType::Boolean),
    ];
    let times = times.into_iter().filter_map(|(key, column, what, data_type)| {
        Some(Needed { what: what.to_owned(), key: Key::of_source(key), column: column?.clone(), data_type })
    });
    let inputs = view.signature.inputs.iter().filter_map(|input| match definition.input_source(&input.name) {
        InputSource::Column(column) => Some(Needed {
            what: format!("{} `{}` of feature view `{}`", input_noun(view), input.name, definition.name),
            key: Key::input(&input.name),
            column,
            data_type: input.data_type,
        }),
        InputSource::AsOf | InputSource::Feature { .. } | InputSource::EventTime { .. } => None,
    });
    let promised = source.contract.columns.iter().enumerate().map(|(index, column)| Needed {
        what: format!("column `{}` of the contract", column.name),
        key: Key::source_column(index),
        column: column.name.clone(),
        data_type: column.data_type,
    });
    keys.chain(times).chain(inputs).chain(promised).collect()
}

fn wrong_columns(view: &BoundView, source: &Arc<Source>, columns: &Columns) -> Vec<Mistake> {
    let names: Vec<&str> = columns.types.iter().map(|(name, _)| name.as_str()).collect();
    let wrong = |Needed { what, key, column, data_type }: Needed| {
        let Some((_, found)) = columns.types.iter().find(|(name, _)| *name == column) else {
            let message = format!(
                "{what} is read from column `{column}`, which source `{}` does not have in {}",
                source.name, columns.file
            );
            return Some(Mistake { key, message, hint: Some(suggest::hint(&column, "columns", &names)) });
        };
        // The types alone decide: there is no value in it.
        let error = to_declared(&new_empty_array(found), &column, data_type, source.timezone.as_deref()).err()?;
        let hint = match &error {
            ConvertError::Type { hint: Some(hint), .. } => Some((*hint).to_owned()),
            ConvertError::NoZone { .. } => {
                Some("set `timezone = \"UTC\"` (or the zone they are in) in the source".to_owned())
            }
            ConvertError::Type { .. } if key.is_join_key() => Some(
                "declare the join key of the entity with the type that the column has, or name another column in `key_columns` of the view"
                    .to_owned(),
            ),
            ConvertError::Type { .. } => Some(format!(
                "name another column, or write this one with a type that is taken for {data_type}"
            )),
            _ => None,
        };
        let why = match error {
            ConvertError::Type { found, declared, .. } => {
                format!("whose type, Arrow's {found}, is not taken for {declared}")
            }
            ConvertError::NoZone { .. } => "whose timestamps have no time zone".to_owned(),
            other => format!("which does not convert: {other}"),
        };
        let message = format!("{what} is read from column `{column}` of source `{}`, {why}", source.name);
        Some(Mistake { key, message, hint })
    };
    needed(view, source).into_iter().filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use tandem_core::definition::{Defined, File, locate};

    use super::*;
    use crate::testing::{two_days, view};

    #[test]
    fn data_that_fits_or_is_not_there_is_no_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let mut unpartitioned = view(folder.path());
        assert_eq!(check_columns(&unpartitioned), []);
        assert_eq!(check_columns(&view(folder.path().join("absent"))), []);
        two_days(folder.path());
        assert_eq!(check_columns(&view(folder.path())), []);
        unpartitioned.view.source = ViewSource::Request;
        assert_eq!(check_columns(&unpartitioned), []);
    }

    #[test]
    fn every_column_that_does_not_fit_is_said_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        two_days(folder.path());
        let mut view = view(folder.path());
        let mut source = crate::testing::source(folder.path());
        source.event_time = "amount".to_owned();
        source.sequence = Some("date".to_owned());
        source.created_time = Some("known".to_owned());
        view.view.source = ViewSource::Files(Arc::new(source));
        view.view.inputs.insert("amount".to_owned(), InputSource::Column("amuont".to_owned()));
        view.view.key_columns.insert("user_id".to_owned(), "date".to_owned());
        let mistakes = check_columns(&view);
        let keys: Vec<Key> = mistakes.iter().map(|mistake| mistake.key.clone()).collect();
        let times = ["event_time", "created_time", "sequence"].map(Key::of_source);
        let expected = [&[Key::join_key("user_id")], &times[..], &[Key::input("amount")]].concat();
        assert_eq!(keys, expected);
        let messages: Vec<&str> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "join key `user_id` of feature view `spend` is read from column `date` of source `spendings`, whose type, Arrow's Utf8, is not taken for int64",
                "the event time is read from column `amount` of source `spendings`, whose type, Arrow's Float64, is not taken for timestamp",
                "the created time is read from column `known`, which source `spendings` does not have in date=2026-01-02/a.parquet",
                "the sequence is read from column `date` of source `spendings`, whose type, Arrow's Utf8, is not taken for int64",
                "input `amount` of feature view `spend` is read from column `amuont`, which source `spendings` does not have in date=2026-01-02/a.parquet",
            ]
        );
        assert!(mistakes[4].hint.as_deref().unwrap().starts_with("did you mean `amount`?"));

        let text = "[[source]]\nname = \"spendings\"\nevent_time = \"amount\"\n[[feature_view]]\nname = \"spend\"\nversion = 1\nsource = \"spendings\"\n";
        let file = File { name: "f.toml".to_owned(), text: text.to_owned() };
        let shown = locate(&[file], [(Defined::View(&view.view), mistakes)]).unwrap();
        let lines: Vec<usize> = shown.found.iter().map(|diagnostic| diagnostic.line).collect();
        // Where a key is not written: the source's name for its keys, the view's `source` for its mapped columns.
        assert_eq!(lines, [2, 2, 3, 7, 7]);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_the_source_s_mistake() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("date=today")).unwrap();
        std::fs::write(folder.path().join("date=today/a.parquet"), "x").unwrap();
        let mistakes = check_columns(&view(folder.path()));
        assert_eq!((mistakes.len(), &mistakes[0].key), (1, &Key::of_source("partition")));
        assert!(mistakes[0].message.contains("date=today` is not a day"), "{}", mistakes[0].message);
    }
}
