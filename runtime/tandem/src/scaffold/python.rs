//! A new Python module.

mod sdk;

use super::place::SdkPlace;
use super::{AGGREGATE_VIEW, Form, NewFile, Scaffold, Template, vendored};

pub(super) const TEMPLATE: Template = Template {
    // Beside the module: Python, its tests, notebooks and editors find it there without being told.
    vendored: "tandem_sdk",
    sdk: SdkPlace { manifest: "pyproject.toml", name_line: "name=\"tandem-sdk\"", home: "guest-sdk/python" },
    files,
    sdk_files: || vendored(sdk::SOURCES),
    next: &["python3 -m unittest", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"],
};

fn files(scaffold: &Scaffold, sdk: &str) -> Vec<NewFile> {
    let (path, requirement) = match scaffold.sdk {
        None => (String::new(), String::new()),
        Some(_) => {
            // What JSON escapes, TOML's basic strings escape in the same way.
            let source = serde_json::Value::from(format!("{sdk}/src"));
            (format!("\n# Folders to import from, beside this one: the SDK.\npath = [{source}]"), format!("\n-e {sdk}"))
        }
    };
    let (source, test) = match scaffold.form {
        Form::Rows => (include_str!("templates/python/rows.py.in"), include_str!("templates/python/test_rows.py.in")),
        Form::Columns => {
            (include_str!("templates/python/columns.py.in"), include_str!("templates/python/test_columns.py.in"))
        }
        Form::Aggregate => {
            (include_str!("templates/python/aggregate.py.in"), include_str!("templates/python/test_aggregate.py.in"))
        }
    };
    let (readme, samples) = match scaffold.form {
        Form::Aggregate => (include_str!("templates/python/README.aggregate.md.in"), None),
        _ => (
            include_str!("templates/python/README.md.in"),
            Some(("samples.json", include_str!("templates/samples.json.in"))),
        ),
    };
    let fill = |template: &str| {
        template
            .replace("{{view}}", AGGREGATE_VIEW.trim_end())
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &scaffold.folder_name())
            .replace("{{path}}", &path)
            .replace("{{sdk}}", &requirement)
    };
    [
        ("pyproject.toml", include_str!("templates/python/pyproject.toml.in")),
        ("requirements.txt", include_str!("templates/python/requirements.txt.in")),
        ("README.md", readme),
        (".gitignore", include_str!("templates/python/gitignore.in")),
        ("transform.py", source),
        ("test_transform.py", test),
    ]
    .into_iter()
    .chain(samples)
    .map(|(path, template)| (path.to_owned(), fill(template)))
    .collect()
}
