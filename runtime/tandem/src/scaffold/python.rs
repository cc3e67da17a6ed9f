//! A new Python module.

mod sdk;

use super::place::SdkPlace;
use super::{NewFile, Scaffold, Template, vendored};

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
    let (source, test) = if scaffold.columns {
        (include_str!("templates/python/columns.py.in"), include_str!("templates/python/test_columns.py.in"))
    } else {
        (include_str!("templates/python/rows.py.in"), include_str!("templates/python/test_rows.py.in"))
    };
    let fill = |template: &str| {
        template
            .replace("{{name}}", &scaffold.name)
            .replace("{{folder}}", &scaffold.folder_name())
            .replace("{{path}}", &path)
            .replace("{{sdk}}", &requirement)
    };
    [
        ("pyproject.toml", include_str!("templates/python/pyproject.toml.in")),
        ("requirements.txt", include_str!("templates/python/requirements.txt.in")),
        ("README.md", include_str!("templates/python/README.md.in")),
        (".gitignore", include_str!("templates/python/gitignore.in")),
        ("samples.json", include_str!("templates/samples.json.in")),
        ("transform.py", source),
        ("test_transform.py", test),
    ]
    .map(|(path, template)| (path.to_owned(), fill(template)))
    .into()
}
